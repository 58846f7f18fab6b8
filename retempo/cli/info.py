"""`retempo info`: what a recording holds."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.counts import list_counts
from retempo.cli.options import Json, Sensor, geometry_of, print_json

EXAMPLE = "Example: retempo info recording.raw --json"

_LABEL = 17


def run(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING")],
    geometry: Sensor = None,
    digests: Annotated[
        bool, typer.Option("--digests", help="A SHA3-224 of each column too, as --json has.")
    ] = False,
    json: Json = False,
) -> None:
    """Show format, sensor, events, rate over time, polarity, hot pixels and problems."""
    from retempo.sensors.errors import RecordingError
    from retempo.sensors.files import open_recording
    from retempo.sensors.files.damage import UntilDamage
    from retempo.sensors.files.details import details_of
    from retempo.sensors.summary import summarise
    from retempo.view.report import report_lines, report_values

    source = open_recording(recording, geometry=geometry_of(geometry), policy="skip")
    read = UntilDamage(source)
    summary = summarise(read, digests=digests or json)
    if summary.events == 0 and summary.problems:
        kinds = list_counts(summary.problems)
        raise RecordingError(
            f"{recording} is {source.format} of which no event can be read ({kinds}); copy or "
            "record it again"
        )
    details, size = details_of(source.format, source.path), size_of(source.path)
    error = str(read.errors[0]) if read.errors else None
    if json:
        known = {
            "recording": str(recording),
            "format": source.format,
            "details": details,
            "bytes": size,
            "notes": source.opened.notes,
        }
        print_json({**known, **report_values(summary, error)})
        return
    columns = shutil.get_terminal_size().columns
    rows = [("recording", f"{recording} ({source.format})")]
    rows.append(("", ", ".join(filter(None, [_size(size), details]))))
    rows += [("note" if place == 0 else "", note) for place, note in enumerate(source.opened.notes)]
    plain = not _encodable("▁⣿", sys.stdout.encoding)
    rows += report_lines(summary, error, columns - _LABEL, plain=plain)
    for name, text in rows:
        typer.echo(f"{name:<{_LABEL}}{text}".rstrip())


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder that is a recording."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def _size(size: int) -> str:
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= least:
            return f"{size / least:.3g} {unit}"
    return f"{size} bytes"


def _encodable(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
