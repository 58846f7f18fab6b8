"""Where every event went: received = binned + late + invalid + masked + shed."""

from dataclasses import dataclass

from retempo.runtime.errors import CounterError


@dataclass(slots=True)
class Counters:
    """Counts of one stream since it opened.

    `received` events came in and each went one way: `binned`, `late` (its bin had closed),
    `invalid` (outside the sensor), `masked` (at an address that is switched off, or removed by a
    filter) or `shed` (dropped on purpose). `lost` events never came in: the source said that they
    are missing. `gaps` silences were longer than is stepped, or were left out on purpose: with
    what was shed, or where the clock jumped. The time step changed `switches` times; the stream's
    clock was set `jumps` times, see `runtime.guard`.
    """

    received: int = 0
    binned: int = 0
    late: int = 0
    invalid: int = 0
    masked: int = 0
    shed: int = 0
    lost: int = 0
    gaps: int = 0
    steps: int = 0
    switches: int = 0
    jumps: int = 0

    def place(self, binned: int, late: int, invalid: int, masked: int, gaps: int) -> None:
        """Count events that a binner has received and placed."""
        self.received += binned + late + invalid + masked
        self.binned += binned
        self.late += late
        self.invalid += invalid
        self.masked += masked
        self.gaps += gaps

    def add(self, other: "Counters") -> None:
        """Add the counts of another stream."""
        for name, count in other.as_dict().items():
            setattr(self, name, getattr(self, name) + count)

    def check(self) -> None:
        """Check the sum rule.

        Raises:
            CounterError: it does not hold.
        """
        placed = self.binned + self.late + self.invalid + self.masked + self.shed
        if self.received != placed:
            raise CounterError(
                f"{self.received} events received but {placed} accounted for: {self.as_dict()}; "
                "please report this"
            )

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name; once a decision, so what looks the names up is too slow."""
        return {
            "received": self.received,
            "binned": self.binned,
            "late": self.late,
            "invalid": self.invalid,
            "masked": self.masked,
            "shed": self.shed,
            "lost": self.lost,
            "gaps": self.gaps,
            "steps": self.steps,
            "switches": self.switches,
            "jumps": self.jumps,
        }
