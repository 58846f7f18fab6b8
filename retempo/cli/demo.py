"""`retempo demo`: watch it work."""

from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.options import Json, print_json

EXAMPLE = "Example: retempo demo --picture demo.png"


def run(
    picture: Annotated[Path, typer.Option(metavar="F.png", help="Where to draw it.")] = Path(
        "demo.png"
    ),
    json: Json = False,
) -> None:
    """Stream recordings to a daemon over ZeroMQ and measure adaptation methods."""
    from rich.console import Console

    from retempo.cli.tables import accuracy_table
    from retempo.demo.run import LIVE_DT_US, LIVE_METHOD, run_demo
    from retempo.runtime.units import format_duration
    from retempo.training.accuracy_plot import writable

    writable(picture)
    report = run_demo(picture, Console(stderr=True))
    if json:
        print_json(
            {
                "recordings": report.recordings,
                "live_right": report.live_right,
                "live_agreeing_with_evaluation": report.agreeing,
                "accuracy": [
                    {"dt_us": r.dt_us, "method": r.method, "percent": r.percent}
                    for r in report.results
                ],
                "picture": str(picture),
            }
        )
        return
    typer.echo(
        f"\nlive over ZeroMQ at {format_duration(LIVE_DT_US)} by {LIVE_METHOD}: "
        f"{report.live_right} of {report.recordings} right; "
        f"{report.agreeing} decided as in the table below\n"
    )
    typer.echo(accuracy_table(report.results, report.source_dt_us))
    typer.echo(f"\npicture: {picture}")
