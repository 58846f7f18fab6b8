"""How often, and for how long, a sender tries to come back to its daemon."""

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

# Between attempts, each time twice as long, less up to half by chance: so that a thousand senders
# of one daemon do not come back at once.
BACK_OFF_S, LONGEST_BACK_OFF_S = 0.05, 2.0


@dataclass(slots=True)
class Patience:
    """Since when the daemon is lost, and when it is tried again.

    `first_s` is the patience before the daemon has ever answered, `later_s` that behind it. All
    times are of one monotonic clock.
    """

    first_s: float
    later_s: float
    lost_s: float | None
    answered: bool = False
    retry_s: float = 0.0
    chance: Callable[[float, float], float] = secrets.SystemRandom().uniform
    _back_off_s: float = BACK_OFF_S

    def lose(self, now_s: float) -> None:
        """Take that the daemon is lost; `retry_s` says when to try again."""
        if self.lost_s is None:
            self.lost_s = now_s
        self.retry_s = now_s + self._back_off_s * self.chance(0.5, 1.0)
        self._back_off_s = min(2 * self._back_off_s, LONGEST_BACK_OFF_S)

    def well(self) -> None:
        """Take that the daemon works: the next loss is another one."""
        self.lost_s, self._back_off_s = None, BACK_OFF_S

    @property
    def ends_s(self) -> float:
        """When it has been tried for long enough."""
        if self.lost_s is None:
            return math.inf
        return self.lost_s + (self.later_s if self.answered else self.first_s)
