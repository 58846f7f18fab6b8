"""What a stream does when it falls behind its sensor: the measure, and the rungs of time steps.

Both are plain state and pure functions; `runtime.rounds` looks at the clock and acts.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

Policy = Literal["block", "coarsen", "shed_oldest", "reset"]

# How fast two clocks may drift apart: the smallest delay seen is forgotten at this pace.
_DRIFT = 1e-4
# A change of the step is given so long to tell, unless the stream falls back as far again.
_SETTLE_US = 100_000
# Going back is a step of about twice the work: it is tried only where that leaves room.
_ROOM = 0.45
_LONGEST_CALM_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Overload:
    """What follows when a stream is more than `behind_us` behind its sensor.

    `block` lets its sender wait; `coarsen` takes the next coarser time step, and the finer one
    again after `calm_us` without delay; `shed_oldest` leaves out what waits longest, `reset`
    forgets the state as well.
    """

    policy: Policy = "block"
    behind_us: int = 20_000
    calm_us: int = 1_000_000


@dataclass(slots=True)
class Delay:
    """How far decisions are behind the sensor, beyond the least delay seen.

    The host's and the sensor's clock differ by an unknown offset; the least difference between the
    instant at which a message was stepped and its watermark is taken for it. So a sender that holds
    messages back counts as much as messages that wait here, and one that sends faster than its
    sensor is never behind.
    """

    _offset_us: float = math.inf
    _seen_us: float = 0.0

    def stepped(self, now_us: float, t_end_us: int) -> float:
        """Take note that a message has been stepped; returns how far behind it was."""
        # Once a message: `max` and `min` take longer than the rest of it.
        offset_us, gap_us, here_us = self._offset_us, now_us - self._seen_us, now_us - t_end_us
        if gap_us > 0.0:
            offset_us += _DRIFT * gap_us
        if here_us < offset_us:
            offset_us = here_us
        self._offset_us, self._seen_us = offset_us, now_us
        return here_us - offset_us

    def behind_us(self, now_us: float, t_us: int) -> float:
        """Return the delay of what would be decided now about the event time `t_us`."""
        return max(0.0, now_us - t_us - self._offset_us)


@dataclass(frozen=True, slots=True)
class Rung:
    """Where a stream stands on its ladder of time steps; 0 is the finest.

    `late_since_us` is since when it is behind. `behind_us` is the delay at the last change, which
    `refined` if it was a step down. `calm_since_us` is when the delay was last gone, `patience_us`
    how long that must last before a finer step is tried.
    """

    index: int = 0
    changed_us: float = -math.inf
    behind_us: float = 0.0
    calm_since_us: float | None = None
    patience_us: float = 0.0
    refined: bool = False
    late_since_us: float | None = None


def govern(
    rung: Rung, overload: Overload, highest: int, now_us: float, behind_us: float, busy: float
) -> Rung:
    """Return where a stream shall stand, one rung away at most.

    It climbs when it has been behind by more than allowed for half of that, so that a burst which
    is soon worked off changes nothing, and again only if that does not help; it
    steps down when it has been within half of that for `patience_us` and the load leaves room. A
    step down that is regretted doubles the patience.

    Args:
        rung: where it stands.
        overload: the limits.
        highest: the last rung.
        now_us: the host's clock.
        behind_us: the delay, 0 where nothing waits.
        busy: the share of the time that stepping takes.
    """
    if behind_us > overload.behind_us:
        since_us = now_us if rung.late_since_us is None else rung.late_since_us
        rung = replace(rung, calm_since_us=None, late_since_us=since_us)
        if now_us - since_us < overload.behind_us / 2:
            return rung
        settled = now_us - rung.changed_us >= _SETTLE_US
        falling = behind_us > rung.behind_us + overload.behind_us
        if rung.index == highest or not (settled or falling):
            return rung
        patience_us = rung.patience_us or float(overload.calm_us)
        if rung.refined and now_us - rung.changed_us < patience_us:
            patience_us = min(2.0 * patience_us, _LONGEST_CALM_US)
        return Rung(rung.index + 1, now_us, behind_us, None, patience_us)
    rung = replace(rung, late_since_us=None)
    if rung.index == 0:
        return rung
    if behind_us > overload.behind_us / 2:
        return replace(rung, calm_since_us=None)
    if rung.calm_since_us is None:
        return replace(rung, calm_since_us=now_us)
    if now_us - rung.calm_since_us >= rung.patience_us and busy <= _ROOM:
        return Rung(rung.index - 1, now_us, 0.0, now_us, rung.patience_us, refined=True)
    return rung
