"""`retempo record`: a live source as a file, until it is interrupted."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retempo.cli.counts import events_line
from retempo.cli.options import (
    FilterTexts,
    Json,
    Overwrite,
    Sensor,
    WrittenFormat,
    filters_of,
    geometry_of,
    print_json,
)

if TYPE_CHECKING:
    from retempo.sensors.events import EventChunk
    from retempo.sensors.geometry import Geometry
    from retempo.sensors.tally import Tallied

EXAMPLE = "Example: retempo record simulated:3 three.raw --for 10s"

_SHOWN_S = 0.2


def run(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="simulated:DIGIT, or another live source.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    lasting: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="DURATION", help="Of the sensor's time, from its first event on."
        ),
    ] = None,
    filter: FilterTexts = None,  # noqa: A002  (the option's name)
    geometry: Sensor = None,
    format: WrittenFormat = None,  # noqa: A002
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Record a live source until it ends, until SIGINT or SIGTERM, or for a time.

    However it ends, what has come until then is kept; a second signal gives it up.
    """
    from retempo.runtime.record import record
    from retempo.runtime.units import parse_dt_us
    from retempo.sensors.errors import SensorError
    from retempo.sensors.events import live_of
    from retempo.sensors.files.writing import check_target, format_to_write
    from retempo.sensors.open import open_source
    from retempo.sensors.tally import Tallied

    limit_us = None if lasting is None else parse_dt_us(lasting)
    filters = filters_of(filter)
    # Before a camera is started in vain.
    format_to_write(out, format)
    check_target(out, overwrite=overwrite)
    began_s = time.monotonic()
    shown = _Shown(Tallied(open_source(source, geometry_of(geometry))))
    live = live_of(shown)
    if live is not None:
        typer.echo(f"{live.name}: {live.about}; Ctrl-C ends it", err=True)
    report = record(
        shown, out, filters=filters, limit_us=limit_us, format=format, overwrite=overwrite
    )
    written, seconds = report.written, time.monotonic() - began_s
    if json:
        print_json(
            {
                "source": source,
                "events_in": report.events_in,
                "seconds": seconds,
                "interrupted": report.interrupted,
                "error": None if report.error is None else str(report.error),
                "out": written,
            }
        )
    else:
        events = events_line(
            report.events_in, written.events, written.removed, written.problems, written.lost
        )
        ended = "interrupted, " if report.interrupted else ""
        typer.echo(
            f"{out}: {ended}{events}; {written.format} of {written.geometry}, "
            f"{written.bytes:,} bytes, {seconds:.2f} s"
        )
    if report.error is not None:
        raise SensorError(f"{report.error}; what was recorded until then is in {out}")


@dataclass(slots=True)
class _Shown:
    """A source whose progress is shown on a terminal."""

    source: "Tallied"

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def geometry(self) -> "Geometry":
        return self.source.geometry

    def __iter__(self) -> "Iterator[EventChunk]":
        if not sys.stderr.isatty():
            yield from self.source
            return
        due_s = time.monotonic()
        try:
            for chunk in self.source:
                yield chunk
                if time.monotonic() >= due_s:
                    due_s = time.monotonic() + _SHOWN_S
                    self._show(chunk.t_end_us)
        finally:
            typer.echo("\r\x1b[K", nl=False, err=True)

    def _show(self, t_end_us: int) -> None:
        came = self.source
        span_s = 0.0 if came.t_first_us is None else (t_end_us - came.t_first_us) * 1e-6
        lost = f", {came.lost:,} lost" if came.lost else ""
        typer.echo(f"\r\x1b[K{came.events:,} events, {span_s:.1f} s{lost}", nl=False, err=True)
