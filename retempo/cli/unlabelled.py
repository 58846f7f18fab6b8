"""`--unlabelled`: recordings to measure by, files or folders of any depth, labels not needed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from retempo.exporters.description import InputSpec
from retempo.runtime.errors import ConfigError
from retempo.runtime.layout import check_geometry
from retempo.sensors.ears.registry import EarSpec
from retempo.sensors.events import Source
from retempo.sensors.files import open_recording
from retempo.sensors.filters import Filter, Filtered


def open_unlabelled(
    paths: Sequence[Path] | None,
    normalisation: str | None,
    spec: InputSpec,
    model: str,
    ear: EarSpec | None = None,
    filters: tuple[Filter, ...] = (),
) -> list[Source]:
    """Open the recordings that `--normalisation measured` measures by; none for another rule.

    Sound is heard by the ear that the network was trained with; filters see it afterwards.

    Raises:
        ConfigError: they are missing or not to be listed, or given without that rule.
        SensorError: a file cannot be read.
        InputError: a file, behind its filters, is of another sensor.
    """
    if normalisation != "measured":
        if paths:
            raise ConfigError("--unlabelled is for --normalisation measured; give both or neither")
        return []
    if not paths:
        raise ConfigError(
            "--normalisation measured measures by recordings; name them with --unlabelled"
        )
    found = [file for path in paths for file in _files(path)]
    if not found:
        raise ConfigError(f"no recording in {', '.join(map(str, paths))}")
    recordings: list[Source] = [open_recording(path, ear=ear) for path in found]
    if filters:
        recordings = [Filtered(recording, filters) for recording in recordings]
    for recording, path in zip(recordings, found, strict=True):
        check_geometry(spec, recording.geometry, str(path), model)
    return recordings


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or those in a folder but the hidden ones, in their order."""
    if not path.is_dir():
        yield path
        return
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise ConfigError(f"cannot read the folder {path}: {error.strerror}") from error
    for entry in entries:
        if not entry.name.startswith("."):
            yield from _files(entry)
