"""The guard of a stream: which of its times are believed, before anything is binned.

A time more than `back_us` behind or `ahead_us` beyond the latest believed one is a suspect: it is
held back until `confirm` events in a row agree with it, which is a jump of the clock, or until one
at the old time refutes it. So a corrupt time moves nothing, and a clock that was set is followed
from its first event on, however the stream is cut into chunks.

A jump back begins a new epoch of event time: the stream goes on at the next edge of its bins. A
jump forward is a gap, never a burst of steps. Plain state, no clock, no socket.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.errors import CheckpointError
from retempo.runtime.guard_kernel import (
    ADMITTED,
    AHEAD,
    AS_IT_IS,
    AT,
    BACK,
    BEHIND,
    BY,
    CONFIRM,
    DOUBTED,
    FAR,
    GRID,
    HELD,
    INVALID,
    JUDGE,
    LATE,
    LEAPS,
    MARK,
    NO_TIME,
    OFFSET,
    PERIOD,
    REFUTED,
    SLOTS,
    STALE,
    STARTED,
    STATE,
    T_END,
    TO,
    judge,
    look,
    look_unread,
    reach,
    stream_us,
)
from retempo.runtime.saved_state import Saved, taken_array, taken_int
from retempo.sensors.errors import GeometryError
from retempo.sensors.events import EventChunk, unread_chunk
from retempo.sensors.packet import Packet

Backward = Literal["carry_on", "reset", "late"]
Forward = Literal["gap", "reset", "step"]
Wrap = Literal["none", "24bit", "31bit", "32bit"]

PERIODS_US: dict[Wrap, int] = {"none": 0, "24bit": 1 << 24, "31bit": 1 << 31, "32bit": 1 << 32}
_COLUMNS = ("x", "y", "on", "channel")


@dataclass(frozen=True, slots=True)
class GuardRules:
    """When a time is a suspect, and what follows from a jump that is believed.

    `backward`: `carry_on` keeps the state, `reset` begins it anew, `late` never believes it, so
    that all is late until time has caught up. `forward`: `gap` leaves out what lies between and
    keeps the state, `reset` begins it anew, `step` steps it as the silence it may have been.
    """

    back_us: int = 1_000_000
    ahead_us: int = 10_000_000
    backward: Backward = "carry_on"
    forward: Forward = "gap"
    wrap: Wrap = "none"
    confirm: int = 8


@dataclass(frozen=True, slots=True)
class Jump:
    """The clock was set by `by_us`; the stream goes on at `to_us` of its own time."""

    to_us: int
    by_us: int
    action: Backward | Forward


@dataclass(frozen=True, slots=True)
class Refuted:
    """Events whose times nothing agreed with: behind the watermark, or beyond it."""

    late: int
    invalid: int


Admitted = EventChunk | Jump | Refuted


class Guard:
    """Guards one stream.

    Args:
        rules: see `GuardRules`.
        grid_us: where a new epoch may begin: a multiple of the length of every bin.
    """

    def __init__(self, rules: GuardRules, grid_us: int) -> None:
        period_us = PERIODS_US[rules.wrap]
        # Of a counter that wraps, what does not lie behind lies ahead, a whole turn away at most.
        ahead_us = min(rules.ahead_us, period_us - rules.back_us - 1 if period_us else FAR)
        self._rules = rules
        self._table = np.zeros(SLOTS, np.int64)
        self._table[[DOUBTED, STALE, REFUTED]] = NO_TIME
        back_us = FAR if rules.backward == "late" and not period_us else rules.back_us
        self._table[[BACK, BEHIND, AHEAD]] = back_us, rules.back_us, ahead_us
        self._table[[PERIOD, CONFIRM, GRID]] = period_us, rules.confirm, grid_us
        self._held: EventChunk | None = None

    def admit(self, chunk: EventChunk) -> Sequence[Admitted]:
        """Return what of a chunk is believed, and what has happened to time, in their order.

        The times of what it returns are the stream's; at least one chunk is among it, the last of
        which ends with the watermark.
        """
        table = self._table
        if self._held is None:
            packet = chunk.packet
            if packet is None:
                found = look(table, chunk.t_us, chunk.t_end_us)
            else:
                found = look_unread(
                    table, packet.raw, packet.count, packet.t_start_us, chunk.t_end_us
                )
            if found == AS_IT_IS:
                return (chunk,)
            if found != JUDGE:
                return self._moved(chunk, leaps=found == LEAPS)
            return self._judged(chunk)
        if len(chunk):
            return self._judged(_joined(self._held, chunk))
        return self._moved(chunk, leaps=self._reach(chunk, jumped=False))

    def end(self) -> Refuted:
        """Give up what is held back: the stream ends, or goes on elsewhere."""
        held, self._held = self._held, None
        if held is None:
            return Refuted(0, 0)
        late = sum(stream_us(self._table, t_us) < self._mark for t_us in held.t_us.tolist())
        return Refuted(late, len(held) - late)

    def told_us(self, t_us: int) -> int:
        """Return a watermark in the stream's time, the latest believed one if it is a suspect."""
        table, mark = self._table, self._mark
        if not table[STARTED]:
            return t_us
        at_us: int = stream_us(table, t_us)
        plausible = mark - int(table[BEHIND]) <= at_us <= mark + int(table[AHEAD])
        heard = t_us in (int(table[STALE]), int(table[REFUTED]))
        return at_us if plausible and not heard else mark

    def pass_over(self, t_end_us: int) -> int:
        """Leave a chunk out; returns the stream's time at which it ends."""
        at_us = self.told_us(t_end_us)
        if self._table[STARTED]:
            self._table[MARK] = max(at_us, self._mark)
        return at_us

    def save(self) -> Saved:
        """Return where the guard stands: its table, its grid, and the events that it holds back."""
        grid_us = int(self._table[GRID])  # of a stream that came to another step, still the old one
        saved: Saved = {"table": self._table[:STATE].copy(), "grid_us": grid_us}
        if self._held is not None:
            saved["t_us"] = self._held.t_us.copy()
            saved |= {name: column.copy() for name, column in _columns_of(self._held).items()}
        return saved

    def load(self, saved: Saved) -> None:
        """Go on where a guard of the same rules stood.

        Raises:
            CheckpointError: it is the state of no guard.
        """
        table = taken_array(saved, "table", np.int64, (STATE,))
        grid_us = taken_int(saved, "grid_us", 1)
        held = None
        if "t_us" in saved:
            t_us = taken_array(saved, "t_us", np.int64, (None,)).copy()
            kinds = {"x": np.uint16, "y": np.uint16, "on": np.bool_, "channel": np.uint16}
            columns: dict[str, Any] = {
                name: taken_array(saved, name, kind, t_us.shape).copy()
                for name, kind in kinds.items()
                if name in saved
            }
            try:
                held = EventChunk(t_us, 0, **columns)
            except GeometryError as error:
                raise CheckpointError(f"the guard's events: {error}") from error
        self._table[:STATE], self._table[GRID], self._held = table, grid_us, held

    def align(self, grid_us: int) -> None:
        """Let new epochs begin at multiples of another length."""
        self._table[GRID] = grid_us

    @property
    def address(self) -> int:
        """Where its table lies, for `guard_kernel.pass_plainly`."""
        return int(self._table.ctypes.data)

    @property
    def holds(self) -> bool:
        """Whether events are held back."""
        return self._held is not None

    @property
    def _mark(self) -> int:
        return int(self._table[MARK])

    def _moved(self, chunk: EventChunk, *, leaps: bool) -> Sequence[Admitted]:
        table = self._table
        t_us = chunk.t_us + table[OFFSET]
        if leaps:
            return self._leap(replace(chunk, t_us=t_us))
        return (replace(chunk, t_us=t_us, t_end_us=int(table[T_END])),)

    def _reach(self, chunk: EventChunk, *, jumped: bool) -> bool:
        held_us = NO_TIME
        if self._held is not None:
            held_us = int(self._held.t_us.max() + self._table[OFFSET])
        return bool(reach(self._table, chunk.t_end_us, len(chunk), held_us, jumped))

    def _leap(self, chunk: EventChunk) -> Sequence[Admitted]:
        """Follow a watermark that leaps, and admit what is held back if it lies near it.

        Args:
            chunk: believed, in the stream's time, before the leap.
        """
        table, to_us, mark = self._table, int(self._table[T_END]), self._mark
        before = replace(chunk, t_end_us=mark)
        admitted: list[Admitted] = [before] if len(chunk) else []
        held, self._held = self._held, None
        empty = _part(chunk, slice(0, 0), chunk.t_us[:0], to_us, 0 if admitted else chunk.lost)
        if held is not None:
            at_us = held.t_us + table[OFFSET]
            if mark < at_us[0] and to_us - table[AHEAD] <= at_us.max() <= to_us:
                first_us = int(at_us[0])
                admitted.append(Jump(first_us, first_us - mark, self._rules.forward))
                admitted.append(_part(held, slice(None), at_us, to_us, empty.lost))
                table[MARK] = to_us
                return admitted
            late = int((at_us < mark).sum())
            admitted.append(Refuted(late, len(held) - late))
        table[MARK] = to_us
        return [*admitted, Jump(to_us, to_us - mark, self._rules.forward), empty]

    def _judged(self, chunk: EventChunk) -> Sequence[Admitted]:
        n = len(chunk)
        at_us, verdicts = np.zeros(n, np.int64), np.zeros(n, np.uint8)
        jumps = np.zeros((n // self._rules.confirm + 1, 3), np.int64)
        mark = self._mark
        found = jumps[: judge(self._table, chunk.t_us, at_us, verdicts, jumps)]
        held = verdicts == HELD
        self._held = _part(chunk, held, chunk.t_us[held], 0, 0) if held.any() else None
        admitted: list[Admitted] = []
        late, invalid = int((verdicts == LATE).sum()), int((verdicts == INVALID).sum())
        if late or invalid:
            admitted.append(Refuted(late, invalid))
        leaps = self._reach(chunk, jumped=bool((found[:, BY] < 0).any()))
        lost, begins = chunk.lost, [0, *found[:, AT].tolist()]
        for k, (begin, end) in enumerate(zip(begins, [*begins[1:], n], strict=True)):
            if k:
                to_us, by_us = int(found[k - 1, TO]), int(found[k - 1, BY])
                action = self._rules.backward if by_us < 0 else self._rules.forward
                admitted.append(Jump(to_us, by_us, action))
            part = np.flatnonzero(verdicts[begin:end] == ADMITTED) + begin
            mark = int(at_us[part].max(initial=max(mark, int(found[k - 1, TO])) if k else mark))
            t_end_us = mark if k < len(found) or leaps else int(self._table[T_END])
            piece = _part(chunk, part, at_us[part], t_end_us, lost)
            if len(piece) or (k == len(found) and not leaps):
                admitted.append(piece)
                lost = 0
        if leaps:
            nothing = _part(chunk, slice(0, 0), at_us[:0], mark, lost)
            return [*admitted, *self._leap(nothing)]
        return admitted


def _columns_of(chunk: EventChunk) -> dict[str, NDArray[Any]]:
    columns = {name: getattr(chunk, name) for name in _COLUMNS}
    return {name: column for name, column in columns.items() if column is not None}


def _part(
    chunk: EventChunk,
    part: "slice | NDArray[Any]",
    t_us: NDArray[np.int64],
    t_end_us: int,
    lost: int,
) -> EventChunk:
    """Return some of a chunk's events at times of their own."""
    columns: dict[str, Any] = {name: c[part] for name, c in _columns_of(chunk).items()}
    return replace(chunk, t_us=t_us, t_end_us=t_end_us, lost=lost, **columns)


def _joined(held: EventChunk, chunk: EventChunk) -> EventChunk:
    """Return a chunk behind the events that were held back before it."""
    before = _columns_of(held)
    columns: dict[str, Any] = {
        name: np.concatenate([before[name], column]) for name, column in _columns_of(chunk).items()
    }
    return replace(chunk, t_us=np.concatenate([held.t_us, chunk.t_us]), **columns)


def compile_guard() -> None:
    """Compile what a jump needs, so that no stream waits for it."""
    guard, address = Guard(GuardRules(confirm=1), 1), np.zeros(1, np.uint16)
    for t_us in (0, 1 << 40, 0):
        guard.admit(EventChunk(np.full(1, t_us, np.int64), t_us, channel=address))
    guard.told_us(0)
    raw = np.zeros(4, np.uint8)
    raw.flags.writeable = False
    Guard(GuardRules(), 1).admit(unread_chunk(Packet(raw, 1, 0, grid=False), 0, "", 0))
