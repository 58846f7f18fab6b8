"""`retempo publish`: a source goes to a daemon over ZeroMQ."""

from typing import TYPE_CHECKING, Annotated

import typer

from retempo.cli.counts import tell_problems
from retempo.cli.ear import EarText, ear_of_option
from retempo.cli.leaps import leaps_told
from retempo.cli.options import (
    FilterTexts,
    Json,
    OnDamage,
    OwnKey,
    Sensor,
    ServerKey,
    Speed,
    filters_of,
    geometry_of,
    print_json,
    speed_of,
)

if TYPE_CHECKING:
    from retempo.runtime.publish_report import PublishReport

EXAMPLE = "Example: retempo publish recording.bin --to tcp://127.0.0.1:7710 --speed 1"


def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Recordings, simulated:DIGIT, or live ones: camera:, mic:, "
            "udp://HOST:PORT?size=WxH, tcp+evt3://HOST:PORT, dv://HOST:PORT.",
        ),
    ],
    to: Annotated[str, typer.Option(metavar="ENDPOINT", help="The feed of retempo serve.")],
    speed: Speed = "max",
    patience: Annotated[
        str,
        typer.Option(metavar="DURATION", help="How long to try to come back to a lost daemon."),
    ] = "30s",
    stream: Annotated[
        str | None, typer.Option(metavar="NAME", help="The stream's name; the source's own.")
    ] = None,
    filter: FilterTexts = None,  # noqa: A002  (the option's name)
    policy: OnDamage = "raise",
    geometry: Sensor = None,
    ear: EarText = None,
    key: OwnKey = None,
    server: ServerKey = None,
    json: Json = False,
) -> None:
    """Send recordings or live sources to a daemon, one stream after the other.

    Ctrl-C ends a live source: what has arrived is decided, the stream ended and reported. A daemon
    that is lost is come back to by itself; what it had not stepped is sent again.

    --speed waits through silence as the sensor did, but not through more than ten minutes.
    """
    from retempo.runtime.publisher import Sender
    from retempo.runtime.security.client import read_client_keys
    from retempo.runtime.stopping import UntilStopped
    from retempo.runtime.units import parse_duration_us
    from retempo.sensors.events import live_of
    from retempo.sensors.filters import Filtered
    from retempo.sensors.open import open_source

    pace, filters, sensor = speed_of(speed), filters_of(filter), geometry_of(geometry)
    if stream is not None and len(sources) > 1:
        raise typer.BadParameter(f"--stream names one stream, but {len(sources)} sources are given")
    hears = ear_of_option(ear)
    patience_s = parse_duration_us(patience) / 1e6
    keys = read_client_keys(key, server)
    with Sender(to, patience_s=patience_s, keys=keys) as sender:
        for text in sources:
            source = open_source(text, sensor, policy, hears)
            live = live_of(source)
            # A recording is left to the signals' usual work.
            ending = None if live is None else UntilStopped(source)
            passed = Filtered(ending or source, filters) if filters else ending or source
            if live is not None:
                typer.echo(f"{live.name}: {live.about}; Ctrl-C ends it", err=True)
            report = sender.publish(
                passed, stream=stream, speed=pace, on_leap=leaps_told(source.name)
            )
            name = stream or source.name
            if json:
                print_json({"stream": name, "report": report})
            else:
                typer.echo(_told(name, report))
            tell_problems(text, report.problems)
            if ending is not None and ending.error is not None:
                raise ending.error
            if ending is not None and ending.asked:
                break


def _told(name: str, report: "PublishReport") -> str:
    told = (
        f"{name}: {report.events:,} events in {report.messages:,} messages, "
        f"{report.counters['steps']:,} steps, {report.seconds:.2f} s"
    )
    if report.lost:
        told += f", {report.lost:,} events lost"
    if report.shed:
        told += f", {report.shed:,} shed"
    if report.reopened:
        told += f", {report.reopened:,} times back to the daemon"
    if report.forgotten:
        told += f", {report.forgotten:,} messages it then missed"
    taken = ", ".join(f"{count:,} by {name}" for name, count in report.removed.items())
    return told + (f"; removed {taken}" if taken else "")
