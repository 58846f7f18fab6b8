"""`retempo view`: a recording drawn as a picture or a film."""

from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.options import (
    FilterTexts,
    From,
    Json,
    OnDamage,
    Sensor,
    To,
    filters_of,
    geometry_of,
    print_json,
)

EXAMPLE = "Example: retempo view recording.raw -o recording.mp4 --speed 0.1"


def run(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="F.png|F.mp4", help="Picture or film.")
    ],
    geometry: Sensor = None,
    policy: OnDamage = "skip",
    filter: FilterTexts = None,  # noqa: A002  (the option's name)
    begin: From = None,
    end: To = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Where a picture's frame begins; the middle if not."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="What a frame shows; 33ms in a film if left out."),
    ] = None,
    fps: Annotated[float, typer.Option(metavar="N", help="A film's frames a second.")] = 30.0,
    speed: Annotated[
        float, typer.Option(metavar="FACTOR", help="A film's speed; 0.1 is slow motion.")
    ] = 1.0,
    json: Json = False,
) -> None:
    """Draw a recording: frame, events a pixel, rates and positions over time; or a film of it."""
    from retempo.runtime.units import format_duration, parse_dt_us, parse_duration_us
    from retempo.sensors.events import Source
    from retempo.sensors.files import open_recording
    from retempo.sensors.filters import Filtered
    from retempo.sensors.selection import TimeRange, parse_moment
    from retempo.view.draw import check_target, draw_film, draw_picture

    for name, value, most in (("fps", fps, 240.0), ("speed", speed, 1e6)):
        if not 1e-6 <= value <= most:
            raise typer.BadParameter(f"--{name} is above 0 and at most {most:g}, got {value:g}")
    check_target(out)
    begin_at, end_at = (None if text is None else parse_moment(text) for text in (begin, end))
    window_us = None if window is None else parse_dt_us(window)
    at_us = None if at is None else parse_duration_us(at)
    filters = filters_of(filter)
    opened = open_recording(recording, geometry=geometry_of(geometry), policy=policy)
    source: Source = TimeRange(opened, begin_at, end_at)
    if filters:
        source = Filtered(source, filters)
    if out.suffix.lower() == ".mp4":
        drawn = draw_film(source, out, fps=fps, window_us=window_us, speed=speed)
    else:
        drawn = draw_picture(source, opened.format, out, at_us=at_us, window_us=window_us)
    if json:
        print_json(
            {
                "view": str(out),
                "events": drawn.summary.events,
                "frames": drawn.frames,
                "duration_us": drawn.summary.duration_us,
                "problems": drawn.summary.problems,
            }
        )
        return
    several = f", {drawn.frames:,} frames" if drawn.frames > 1 else ""
    typer.echo(
        f"{out}: {drawn.summary.events:,} events over "
        f"{format_duration(drawn.summary.duration_us)}{several}"
    )
