"""`retempo serve`: the daemon."""

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

    --filter takes the place of the configuration's [[input.filter]].

    Prints one line of JSON with both endpoints once it is ready; the log goes to stderr.
    """
    from retempo.runtime.config import load_config
    from retempo.runtime.daemon import run_daemon
    from retempo.runtime.serve_config import ServeConfig
    from retempo.runtime.serving import checkpointing_of, deployment_of, grace_us_of

    del json
    settings = load_config(config, ServeConfig)
    run_daemon(
        deployment_of(settings, config.parent, filters_of(filter) if filter else None),
        settings.feed.bind,
        settings.decisions.bind,
        window=settings.feed.window,
        grace_us=grace_us_of(settings),
        decisions_format=settings.decisions.format,
        history_bytes=settings.decisions.history,
        chores=checkpointing_of(settings, config.parent),
    )
