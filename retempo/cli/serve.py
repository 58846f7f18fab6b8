"""`retempo serve`: the daemon."""

import gc
from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.options import FilterTexts, filters_of

EXAMPLE = "Example: retempo serve configs/demo-live.toml"


def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="A deployment.")],
    filter: FilterTexts = None,  # noqa: A002  (the option's name)
    json: Annotated[
        bool, typer.Option("--json", help="Accepted everywhere; stdout is JSON here anyway.")
    ] = False,
) -> None:
    """Decide event streams that arrive over ZeroMQ, until SIGINT or SIGTERM.

    SIGHUP reads the model, its time step and its method anew from the configuration.

    --filter takes the place of the configuration's [[input.filter]].

    Prints one line of JSON with both endpoints once it is ready; the log goes to stderr.
    """
    from contextlib import closing

    from retempo.runtime.config import load_config
    from retempo.runtime.daemon import Stop, run_daemon
    from retempo.runtime.event_log import EventLog
    from retempo.runtime.journal_config import journal_chore, journal_of
    from retempo.runtime.live_models import model_chores
    from retempo.runtime.model_source import ModelSource
    from retempo.runtime.operations import watching
    from retempo.runtime.security.limits import raise_file_limit
    from retempo.runtime.security.settings import security_of
    from retempo.runtime.serve_config import ServeConfig
    from retempo.runtime.serving import checkpointing_of, grace_us_of

    del json
    settings = load_config(config, ServeConfig)
    raise_file_limit()
    log = EventLog()
    security = security_of(settings.security, config.parent)
    watched = watching(settings.metrics, settings.watchdog, log)
    source = ModelSource(config, settings, log, filters_of(filter) if filter else None)
    deployment = source.first()
    journal = journal_of(settings, config.parent, deployment, filter, log)
    kept = [*checkpointing_of(settings, config.parent, log)]
    if journal is not None:
        kept.append(journal_chore(journal))
    # A pass of the garbage collector over all that is loaded by now takes a tenth of a second, in
    # which no stream is stepped.
    gc.collect()
    gc.freeze()
    with closing(Stop()) as stop:
        run_daemon(
            deployment,
            settings.feed.bind,
            settings.decisions.bind,
            window=settings.feed.window,
            grace_us=grace_us_of(settings),
            decisions_format=settings.decisions.format,
            history_bytes=settings.decisions.history,
            security=security,
            chores=[*model_chores(source, log, settings.control.bind, stop), *watched, *kept],
            stop=stop,
            log=log,
            recorder=journal,
        )
