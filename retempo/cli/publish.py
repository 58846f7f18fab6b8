"""`retempo publish`: a source goes to a daemon over ZeroMQ."""

from typing import Annotated

import typer

from retempo.cli.counts import tell_problems
from retempo.cli.options import (
    FilterTexts,
    Json,
    OnDamage,
    Sensor,
    Speed,
    filters_of,
    geometry_of,
    print_json,
    speed_of,
)

EXAMPLE = "Example: retempo publish recording.bin --to tcp://127.0.0.1:7710 --speed 1"


def run(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Recordings, or simulated:DIGIT.")
    ],
    to: Annotated[str, typer.Option(metavar="ENDPOINT", help="The feed of retempo serve.")],
    speed: Speed = "max",
    stream: Annotated[
        str | None, typer.Option(metavar="NAME", help="The stream's name; the source's own.")
    ] = None,
    filter: FilterTexts = None,  # noqa: A002  (the option's name)
    policy: OnDamage = "raise",
    geometry: Sensor = None,
    json: Json = False,
) -> None:
    """Send recordings or a simulated camera to a daemon, one stream after the other."""
    from retempo.runtime.publisher import Sender
    from retempo.sensors.filters import Filtered
    from retempo.sensors.open import open_source
    from retempo.sensors.tally import Tallied

    pace, filters, sensor = speed_of(speed), filters_of(filter), geometry_of(geometry)
    if stream is not None and len(sources) > 1:
        raise typer.BadParameter(f"--stream names one stream, but {len(sources)} sources are given")
    with Sender(to) as sender:
        for text in sources:
            source = Tallied(open_source(text, sensor, policy))
            passed = Filtered(source, filters) if filters else source
            report = sender.publish(passed, stream=stream, speed=pace)
            name = stream or source.name
            taken = ", ".join(f"{count:,} by {name}" for name, count in report.removed.items())
            removed = f"; removed {taken}" if taken else ""
            if json:
                print_json({"stream": name, "report": report})
            else:
                typer.echo(
                    f"{name}: {report.events:,} events in {report.messages:,} messages, "
                    f"{report.counters['steps']:,} steps, {report.seconds:.2f} s{removed}"
                )
            tell_problems(text, source.problems)
