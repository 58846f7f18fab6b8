"""A live source recorded: until it ends, is interrupted, fails or has lasted long enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retempo.runtime.stopping import UntilStopped, unwinding
from retempo.sensors.errors import SensorError
from retempo.sensors.events import Source
from retempo.sensors.files.writing import WriteReport, write_recording
from retempo.sensors.filters import Filter, Filtered
from retempo.sensors.selection import Moment, TimeRange
from retempo.sensors.tally import Tallied


@dataclass(frozen=True, slots=True)
class RecordReport:
    """What was recorded; `events_in` counts what came before the filters.

    `interrupted` tells that a signal ended it, `error` is what a source that failed has said.
    """

    written: WriteReport
    events_in: int
    interrupted: bool
    error: SensorError | None


def record(
    source: Source,
    path: str | Path,
    *,
    filters: Sequence[Filter] = (),
    limit_us: int | None = None,
    format: str | None = None,  # noqa: A002  (as write_recording has it)
    overwrite: bool = False,
) -> RecordReport:
    """Write a source to a file until SIGINT or SIGTERM, and finish the file properly.

    Args:
        source: what to record.
        path: the file.
        filters: what the events pass through first.
        limit_us: how long to record, in the sensor's time from its first event on.
        format: see `write_recording`.
        overwrite: see `write_recording`.

    Raises:
        RecordingError: as `write_recording`.
        SensorError: the source fails before its first event.
    """
    stopped = UntilStopped(source, limit_us)
    end = None if limit_us is None else Moment(limit_us)
    came = Tallied(TimeRange(stopped, end=end))
    passed = Filtered(came, tuple(filters)) if filters else came
    with unwinding():
        written = write_recording(path, passed, format, overwrite=overwrite)
    return RecordReport(written, came.events, stopped.asked, stopped.error)
