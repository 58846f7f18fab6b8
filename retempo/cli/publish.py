"""`retempo publish`: a source goes to a daemon over ZeroMQ."""

from typing import Annotated

import typer

from retempo.cli.ear import EarText, ear_of_option
from retempo.cli.options import Json, Speed, print_json, speed_of

EXAMPLE = "Example: retempo publish recording.bin --to tcp://127.0.0.1:7710 --speed 1"


def run(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Recordings, simulated:DIGIT, or mic:.")
    ],
    to: Annotated[str, typer.Option(metavar="ENDPOINT", help="The feed of retempo serve.")],
    speed: Speed = "max",
    stream: Annotated[
        str | None, typer.Option(metavar="NAME", help="The stream's name; the source's own.")
    ] = None,
    ear: EarText = None,
    json: Json = False,
) -> None:
    """Send recordings, a simulated camera or a microphone to a daemon, one after the other."""
    from retempo.runtime.publisher import Sender
    from retempo.sensors.open import open_source

    pace = speed_of(speed)
    if stream is not None and len(sources) > 1:
        raise typer.BadParameter(f"--stream names one stream, but {len(sources)} sources are given")
    hears = ear_of_option(ear)
    with Sender(to) as sender:
        for text in sources:
            source = open_source(text, ear=hears)
            report = sender.publish(source, stream=stream, speed=pace)
            name = stream or source.name
            if json:
                print_json({"stream": name, "report": report})
            else:
                typer.echo(
                    f"{name}: {report.events:,} events in {report.messages:,} messages, "
                    f"{report.counters['steps']:,} steps, {report.seconds:.2f} s"
                )
