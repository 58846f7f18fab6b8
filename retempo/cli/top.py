"""`retempo top`: the streams of a daemon, live."""

import time
from contextlib import suppress
from typing import Annotated

import msgspec
import typer

from retempo.cli.options import Json

EXAMPLE = "Example: retempo top 127.0.0.1:9464"


def run(
    address: Annotated[
        str,
        typer.Argument(metavar="URL|HOST:PORT", help="The daemon's [metrics] bind."),
    ] = "127.0.0.1:9464",
    interval: Annotated[
        float, typer.Option(min=0.1, max=3_600.0, help="Seconds between two looks.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Two looks, one table, no more.")] = False,
    json: Json = False,
) -> None:
    """Show what a daemon's streams do, until Ctrl-C.

    Rates and step times are those between two looks. With --json a line of JSON a look.
    """
    from rich.console import Console
    from rich.live import Live

    from retempo.runtime.errors import FeedError
    from retempo.runtime.scraped import Looks
    from retempo.view.top import top_view

    looks = Looks(address)
    console = Console()
    if once or json:
        while True:
            time.sleep(interval)
            overview = looks.again()
            if json:
                typer.echo(msgspec.json.encode(overview).decode())
            else:
                console.print(top_view(overview, console.width, 1_000_000))
            if once:
                return
    overview, note = looks.again(), ""
    with (
        suppress(KeyboardInterrupt),
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while True:
            live.update(top_view(overview, console.width, console.height, note), refresh=True)
            time.sleep(interval)
            try:
                overview, note = looks.again(), ""
            except FeedError as error:
                note = str(error)
