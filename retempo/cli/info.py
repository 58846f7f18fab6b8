"""`retempo info`: what a recording holds."""

from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.options import Json, print_json

EXAMPLE = "Example: retempo info recording.raw --json"


def run(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING")],
    geometry: Annotated[
        str | None, typer.Option(metavar="WxH", help="The sensor, where the file does not say.")
    ] = None,
    json: Json = False,
) -> None:
    """Show format, sensor, events, time span, on/off share and a SHA3-224 a column."""
    from retempo.runtime.units import format_duration, parse_geometry
    from retempo.sensors.files import open_recording
    from retempo.sensors.geometry import GridGeometry
    from retempo.sensors.summary import summarise

    sensor = None if geometry is None else parse_geometry(geometry)
    source = open_recording(recording, geometry=sensor)
    summary = summarise(source)
    grid = source.geometry if isinstance(source.geometry, GridGeometry) else None
    if json:
        print_json(
            {
                "recording": str(recording),
                "format": source.format,
                "geometry": source.geometry,
                "events": summary.events,
                "t_first_us": summary.t_first_us,
                "t_last_us": summary.t_last_us,
                "on_share": summary.on_share,
                "rate_hz": summary.rate_hz,
                "outside": summary.outside,
                "backward_steps": summary.backward_steps,
                "sha3_224": summary.sha3_224,
            }
        )
        return
    rows = {
        "recording": f"{recording} ({source.format})",
        "sensor": str(source.geometry),
        "events": f"{summary.events:,}",
    }
    if summary.t_first_us is not None:
        rows["time"] = (
            f"{summary.t_first_us:,} to {summary.t_last_us:,} us, "
            f"{format_duration(summary.duration_us)}, {summary.rate_hz:,.0f} events/s"
        )
    if grid is not None and summary.on_share is not None:
        rows["polarity"] = f"{summary.on_share:.1%} on, {1 - summary.on_share:.1%} off"
    rows["problems"] = (
        ", ".join(
            f"{count:,} events {what}"
            for what, count in (
                ("outside the sensor", summary.outside),
                ("before the one ahead of them", summary.backward_steps),
            )
            if count
        )
        or "none"
    )
    for name, digest in summary.sha3_224.items():
        rows[f"sha3-224 {name}"] = digest
    for name, text in rows.items():
        typer.echo(f"{name:<16} {text}")
