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

    --filter takes the place of the configuration's [[input.filter]].

    Prints one line of JSON with both endpoints once it is ready; the log goes to stderr.
    """
    from retempo.runtime.config import load_config
    from retempo.runtime.daemon import run_daemon
    from retempo.runtime.serve_config import ServeConfig
    from retempo.runtime.serving import deployment_of

    del json
    settings = load_config(config, ServeConfig)
    deployment = deployment_of(settings, config.parent, filters_of(filter) if filter else None)
    # A pass of the garbage collector over all that is loaded by now takes a tenth of a second, in
    # which no stream is stepped.
    gc.collect()
    gc.freeze()
    run_daemon(
        deployment,
        settings.feed.bind,
        settings.decisions.bind,
        window=settings.feed.window,
        decisions_format=settings.decisions.format,
    )
