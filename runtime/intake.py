"""What of a stream's chunks is believed and kept to be binned, and how the rest is counted."""

from collections.abc import Sequence

from retempo.runtime.counters import Counters
from retempo.runtime.guard import Admitted, Guard, Refuted
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import Chain


class Intake:
    """The guard of one stream and the filters behind it, either of which there may be none of.

    `removed` counts by filter the events that were taken out.
    """

    def __init__(self, counters: Counters, chain: Chain | None, guard: Guard | None) -> None:
        self.chain = chain
        self.guard = guard
        self.removed: dict[str, int] = {}
        self._counters = counters

    @property
    def passes(self) -> bool:
        """Whether what the guard believes plainly may be binned as it is."""
        return self.chain is None and (self.guard is None or not self.guard.holds)

    def admit(self, chunk: EventChunk) -> Sequence[Admitted]:
        """Return what of a chunk is believed, see `Guard.admit`."""
        return (chunk,) if self.guard is None else self.guard.admit(chunk)

    def filtered(self, chunk: EventChunk) -> EventChunk:
        """Return what the filters leave of a chunk; what they do not is received here and now."""
        if self.chain is None:
            return chunk
        kept = self.chain.apply(chunk)
        gone, masked = len(chunk) - len(kept), 0
        for name, count in kept.removed.items():
            count -= chunk.removed.get(name, 0)
            if count:
                self.removed[name] = self.removed.get(name, 0) + count
                masked += count
        self._counters.received += gone
        self._counters.masked += masked
        self._counters.invalid += gone - masked
        return kept

    def refuse(self, refuted: Refuted) -> None:
        """Receive events that are not believed."""
        self._counters.place(0, refuted.late, refuted.invalid, 0, 0)

    def give_up_suspects(self) -> None:
        """Believe nothing more of what is held back: the stream ends, or goes on elsewhere."""
        if self.guard is not None:
            self.refuse(self.guard.end())

    def told_us(self, t_us: int) -> int:
        """Return a watermark as the stream's own time, which differs where its clock was set."""
        return t_us if self.guard is None else self.guard.told_us(t_us)

    def align(self, grid_us: int) -> None:
        """Let the stream go on, behind jumps to come, at multiples of another length."""
        if self.guard is not None:
            self.guard.align(grid_us)

    def pass_over(self, chunks: Sequence[EventChunk]) -> int:
        """Leave chunks out, their events being shed; returns the stream's time at their end."""
        t_end_us = chunks[-1].t_end_us
        if self.guard is not None:
            t_end_us = [self.guard.pass_over(chunk.t_end_us) for chunk in chunks][-1]
        return t_end_us
