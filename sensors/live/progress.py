"""How far the time of a live stream has come: its watermark, through silence and new beginnings."""

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np

from retempo.sensors.columns import AnyColumns, arrays_of, part_of
from retempo.sensors.events import EventChunk
from retempo.sensors.files.policy import inside
from retempo.sensors.geometry import Geometry
from retempo.sensors.live.device import Arrival
from retempo.sensors.pieces import no_events
from retempo.sensors.problems import both, problem, total

# Datagrams that overtake each other lie closer together, clocks that begin anew farther apart.
RESTART_US = 1_000_000
# The longest silence that the runtime steps; a clock that leaps farther is damaged or another one.
LEAP_US = 600_000_000
# What the host's clock tells in silence lags by this much behind the slowest arrival so far.
MARGIN_US = 5_000
_REMEMBERED = 256


class Progress:
    """Turns arrivals into chunks with watermarks. Owns no clock.

    With data, the watermark is the latest of the events and of the time that the device says it has
    reached. Without, and where the device `foresees`,

        w = now - max(came - t) - MARGIN_US

    over the last arrivals, `t` being the time that one reached, or its earliest event: the host's
    clock minus the longest way that data took, their wait in the sender's buffer included. The
    watermark never goes back.

    A clock that begins anew (told by the device, or events more than `RESTART_US` before or
    `LEAP_US` behind the watermark) is counted as `restarted`, and its times are moved so that they
    follow the watermark. Single events that leap so far are left out and counted as `leap`.
    """

    def __init__(self, geometry: Geometry, stream: str, *, foresees: bool) -> None:
        self._geometry = geometry
        self._stream = stream
        self._foresees = foresees
        self._told_us: int | None = None
        self._moved_us = 0
        self._fresh = False
        self._early_lost = 0
        self._early_problems: dict[str, int] = {}
        self._delays_us: deque[float] = deque(maxlen=_REMEMBERED)

    def take(self, arrival: Arrival) -> EventChunk | None:
        """Return the next chunk, None where there is nothing to tell."""
        columns = inside(arrival.columns, self._geometry)
        columns = self._going_on(columns, arrival)
        columns, leaps = _without_leaps(columns)
        self._remember(columns, arrival)
        told_us = self._told_us
        self._advance(columns, arrival)
        outside = columns.problems.counts.get("outside", 0)
        # A chunk has a watermark: what is lost before the first is told with it.
        self._early_lost += arrival.lost + outside + leaps
        self._early_problems = total([self._early_problems, columns.problems.counts])
        if self._told_us is None:
            return None
        unchanged = self._told_us == told_us
        if unchanged and not (len(columns) or arrival.lost or columns.problems):
            return None
        return self._chunk(columns, self._told_us)

    def finish(self) -> EventChunk | None:
        """Return what was lost or wrong and could not be told, since no time was ever known."""
        if not self._early_lost and not self._early_problems:
            return None
        nothing = no_events(self._geometry, 0)
        return replace(
            nothing, stream=self._stream, lost=self._early_lost, problems=self._problems()
        )

    def _problems(self) -> dict[str, int]:
        problems, self._early_problems = self._early_problems, {}
        return problems

    def _chunk(self, columns: AnyColumns, t_end_us: int) -> EventChunk:
        lost, self._early_lost = self._early_lost, 0
        arrays: dict[str, Any] = {**arrays_of(columns)}
        return EventChunk(
            t_end_us=t_end_us,
            stream=self._stream,
            lost=lost,
            problems=self._problems(),
            **arrays,
        )

    def _going_on(self, columns: AnyColumns, arrival: Arrival) -> AnyColumns:
        """Move the times of a clock that has begun anew."""
        self._fresh = self._fresh or arrival.fresh
        first_us = int(columns.t_us.min()) if len(columns) else arrival.reached_us
        if first_us is None:
            return columns
        fresh, self._fresh = self._fresh, False
        told_us = self._told_us
        ahead_us = 0 if told_us is None else first_us + self._moved_us - told_us
        if told_us is not None and (fresh or not -RESTART_US <= ahead_us <= LEAP_US):
            self._moved_us = told_us - first_us
            told = problem("restarted", "the sensor's clock begins anew", 0)
            columns = replace(columns, problems=both(columns.problems, told))
        if self._moved_us:
            columns = replace(columns, t_us=columns.t_us + self._moved_us)
        return columns

    def _remember(self, columns: AnyColumns, arrival: Arrival) -> None:
        if arrival.came_us is None or not self._foresees:
            return
        if arrival.reached_us is not None:
            self._delays_us.append(arrival.came_us - (arrival.reached_us + self._moved_us))
        elif len(columns):
            self._delays_us.append(arrival.came_us - int(columns.t_us.min()))

    def _advance(self, columns: AnyColumns, arrival: Arrival) -> None:
        known = [] if self._told_us is None else [self._told_us]
        if len(columns):
            known.append(int(columns.t_us.max()))
        if arrival.reached_us is not None:
            reached_us = arrival.reached_us + self._moved_us
            # A clock that is damaged within an arrival is set right by a later one.
            if not known or reached_us <= max(known) + LEAP_US:
                known.append(reached_us)
        if arrival.came_us is None and self._delays_us:
            known.append(int(arrival.now_us - max(self._delays_us)) - MARGIN_US)
        self._told_us = max(known, default=None)


def _without_leaps(columns: AnyColumns) -> tuple[AnyColumns, int]:
    """Leave out events far behind the first one; returns how many these are."""
    if not len(columns):
        return columns, 0
    far = columns.t_us > columns.t_us.min() + LEAP_US
    leaps = int(np.count_nonzero(far))
    if not leaps:
        return columns, 0
    told = problem("leap", "an event lies far behind the others", int(far.argmax()), leaps)
    kept = part_of(columns, ~far)
    return replace(kept, problems=both(columns.problems, told)), leaps
