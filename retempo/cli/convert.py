"""`retempo convert`: events of any source that ends, as a file of any format that is written."""

import time
from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.counts import events_line
from retempo.cli.options import (
    FilterTexts,
    From,
    Json,
    OnDamage,
    Overwrite,
    Sensor,
    To,
    WrittenFormat,
    filters_of,
    geometry_of,
    print_json,
)

EXAMPLE = "Example: retempo convert recording.raw part.h5 --from 1s --to 2.5s --crop 10,20,64x48"


def run(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="A recording, or another source that ends.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    begin: From = None,
    end: To = None,
    crop: Annotated[
        str | None, typer.Option(metavar="X,Y,WxH", help="That part of the sensor alone.")
    ] = None,
    downsample: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Squares of NxN pixels as one.")
    ] = None,
    filter: FilterTexts = None,  # noqa: A002  (the option's name)
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Put events in time order that come at most so late."
        ),
    ] = None,
    zero: Annotated[
        bool, typer.Option("--zero", help="Let times count from the first event written.")
    ] = False,
    policy: OnDamage = "raise",
    geometry: Sensor = None,
    format: WrittenFormat = None,  # noqa: A002
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write events of one format as another: a part in time or space, filtered, in order.

    Events are cut in time first, then cropped, downsampled, filtered in the order given, put in
    order and counted from zero; to crop later, say it with --filter. Nothing is left of a file
    that cannot be finished.
    """
    from retempo.runtime.stopping import unwinding
    from retempo.runtime.units import parse_duration_us
    from retempo.sensors.errors import SensorError
    from retempo.sensors.events import Source, live_of
    from retempo.sensors.files.writing import format_to_write, write_recording
    from retempo.sensors.filters import Filtered
    from retempo.sensors.open import open_source
    from retempo.sensors.ordering import Ordered
    from retempo.sensors.selection import FromZero, TimeRange, parse_moment
    from retempo.sensors.tally import Tallied

    first = [] if crop is None else [f"crop={crop}"]
    first += [] if downsample is None else [f"downsample={downsample}"]
    filters = filters_of([*first, *(filter or [])])
    begin_at, end_at = (None if text is None else parse_moment(text) for text in (begin, end))
    window_us = None if sort is None else parse_duration_us(sort)
    format_to_write(out, format)
    began_s = time.monotonic()
    opened = open_source(source, geometry_of(geometry), policy)
    live = live_of(opened)
    if live is not None:
        # A live source lets go of its device at its end.
        live.stop()
        list(live)
        raise SensorError(f"{source} is live and may never end; use retempo record {source} {out}")
    read = Tallied(TimeRange(opened, begin_at, end_at))
    passed: Source = Filtered(read, filters) if filters else read
    passed = passed if window_us is None else Ordered(passed, window_us)
    passed = FromZero(passed) if zero else passed
    with unwinding():
        report = write_recording(out, passed, format, overwrite=overwrite)
    seconds = time.monotonic() - began_s
    if json:
        print_json({"source": source, "events_in": read.events, "seconds": seconds, "out": report})
        return
    events = events_line(read.events, report.events, report.removed, report.problems, report.lost)
    typer.echo(
        f"{out}: {events}; {report.format} of {report.geometry}, {report.bytes:,} bytes, "
        f"{seconds:.2f} s"
    )
