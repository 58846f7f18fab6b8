"""One damaged recording read under every policy, held against what a reader promises."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.fuzzing.mutations import Input
from retempo.sensors.errors import RecordingError, SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording
from retempo.sensors.files.recording import Recording
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.problems import KINDS, Policy, total

# No input of a few KiB has a right to more.
_MOST_EVENTS = 20_000_000


class BrokenPromiseError(Exception):
    """A reader did what it must not; the text says what."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an input: the format that it opened as, or none, its events and problems."""

    format: str
    events: int
    problems: int


@dataclass(frozen=True, slots=True)
class _Read:
    format: str
    geometry: Geometry
    columns: dict[str, np.ndarray]
    problems: dict[str, int]
    error: str

    def __len__(self) -> int:
        return len(self.columns["t_us"])


def examine(path: Path, given: Input) -> Outcome:
    """Read an input, which lies at `path`, under every policy.

    Raises:
        BrokenPromiseError: a promise does not hold.
        Exception: whatever else a reader lets out.
    """
    try:
        skipped = _read(path, given, "skip")
    except SensorError as error:
        _check_text(error, path)
        return Outcome("", 0, 0)
    stopped, raised = _read(path, given, "stop"), _read(path, given, "raise")
    if not skipped.geometry == stopped.geometry == raised.geometry:
        raise BrokenPromiseError("the policy changes the geometry")
    found = sum(skipped.problems.values())
    if found == 0 and not skipped.error:
        _check_same(skipped, stopped, "stop without a problem")
        _check_same(skipped, raised, "raise without a problem")
        if raised.error:
            raise BrokenPromiseError(f"raise raises without a problem: {raised.error}")
    if found:
        _check_prefix(stopped, skipped, "stop")
        _check_same(stopped, raised, "raise as against stop")
        if not raised.error:
            raise BrokenPromiseError("there is a problem, and raise does not raise")
        if sum(stopped.problems.values()) != 1:
            raise BrokenPromiseError(f"stop counts {stopped.problems}, expected one problem")
    return Outcome(skipped.format, len(skipped), found)


def _read(path: Path, given: Input, policy: Policy) -> _Read:
    recording = open_recording(
        path, geometry=given.geometry, policy=policy, chunk_events=given.chunk_events
    )
    chunks: list[EventChunk] = []
    error, events = "", 0
    source: Iterator[EventChunk] = iter(recording)
    while True:
        try:
            chunk = next(source)
        except StopIteration:
            break
        except SensorError as damage:
            _check_text(damage, path)
            error = str(damage)
            break
        events += len(chunk)
        if events > _MOST_EVENTS:
            raise BrokenPromiseError(f"more than {_MOST_EVENTS} events in {len(given.data)} bytes")
        chunks.append(chunk)
    _check_chunks(recording, chunks)
    grid = isinstance(recording.geometry, GridGeometry)
    columns = {
        name: np.concatenate([[], *(getattr(chunk, name) for chunk in chunks)])
        for name in (("t_us", "x", "y", "on") if grid else ("t_us", "channel"))
    }
    return _Read(
        recording.format,
        recording.geometry,
        columns,
        total([chunk.problems for chunk in chunks]),
        error,
    )


def _check_chunks(recording: Recording, chunks: list[EventChunk]) -> None:
    geometry = recording.geometry
    sides = (
        {"x": geometry.width, "y": geometry.height}
        if isinstance(geometry, GridGeometry)
        else {"channel": geometry.channels}
    )
    for place, chunk in enumerate(chunks):
        for name, side in sides.items():
            column = getattr(chunk, name)
            if len(column) and int(column.max()) >= side:
                raise BrokenPromiseError(f"an event with {name} {column.max()} in {geometry}")
        if chunk.sequence != place:
            raise BrokenPromiseError(f"chunk {place} is numbered {chunk.sequence}")
        if unknown := set(chunk.problems) - set(KINDS):
            raise BrokenPromiseError(f"problems of unknown kinds {sorted(unknown)}")
        if not len(chunk) and not chunk.problems:
            raise BrokenPromiseError("a chunk with neither events nor problems")
    if recording.opened.may_go_back:
        _check_watermarks(chunks)


def _check_watermarks(chunks: list[EventChunk]) -> None:
    earliest = None
    for chunk in reversed(chunks):
        if earliest is not None and chunk.t_end_us > earliest:
            raise BrokenPromiseError(f"the watermark {chunk.t_end_us} lies behind {earliest}")
        if len(chunk):
            first = int(chunk.t_us.min())
            earliest = first if earliest is None else min(first, earliest)


def _check_same(one: _Read, other: _Read, what: str) -> None:
    if len(one) != len(other):
        raise BrokenPromiseError(f"{what}: {len(other)} events, expected {len(one)}")
    _check_prefix(other, one, what)


def _check_prefix(part: _Read, whole: _Read, what: str) -> None:
    size = len(part)
    if size > len(whole) or any(
        not np.array_equal(column, whole.columns[name][:size])
        for name, column in part.columns.items()
    ):
        raise BrokenPromiseError(f"{what}: other events than skip gives first")


def _check_text(error: SensorError, path: Path) -> None:
    text = str(error)
    if "\n" in text or (isinstance(error, RecordingError) and str(path) not in text):
        raise BrokenPromiseError(f"an error without its file, or of several lines: {text!r}")
