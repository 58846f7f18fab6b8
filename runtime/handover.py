"""From one binner to the next at an instant of event time, without losing or doubling an event."""

from collections.abc import Callable, Iterator
from math import lcm
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.binner import Binner
from retempo.runtime.layout import columns_of, inside
from retempo.runtime.sparse_bins import Block, followed
from retempo.sensors.events import EventChunk

# Two grids whose common edge is farther than this are not made to meet at one.
_FARTHEST_US = 1_000_000


class Bins(Protocol):
    """What a stream's bins come from: a `Binner`, or one that hands over to another."""

    @property
    def dt_us(self) -> int:
        """Length of the bins in which events are counted."""
        ...

    @property
    def begun(self) -> bool:
        """Whether an event has been binned."""
        ...

    def gather(self, n: int) -> None:
        """See `Binner.gather`."""
        ...

    def feed(self, chunk: EventChunk) -> Iterator[Block]:
        """See `Binner.feed`."""
        ...

    def finish(self) -> Iterator[Block]:
        """See `Binner.finish`."""
        ...

    def leap(self, t_us: int) -> Iterator[Block]:
        """See `Binner.leap`."""
        ...

    def freeze(self) -> None:
        """See `Binner.freeze`."""
        ...

    @property
    def length_us(self) -> int:
        """See `Binner.length_us`."""
        ...

    def close_until(self, t_us: int) -> Iterator[Block]:
        """See `Binner.close_until`."""
        ...

    @property
    def edge_us(self) -> int:
        """See `Binner.edge_us`."""
        ...


def common_edge_us(from_us: int, dt_us: int, next_us: int) -> int:
    """Return the first instant from `from_us` on that is an edge of bins of both lengths.

    `from_us` is an edge of bins of `dt_us`; it is itself returned where both grids meet no sooner
    than a second later.
    """
    both = lcm(dt_us, next_us)
    edge_us = -(-from_us // both) * both
    return edge_us if edge_us - from_us <= _FARTHEST_US else from_us


class Handover:
    """Bins of `old` up to an edge of its own, of `new` from there on.

    Events before the edge are binned by `old` and those from it on by `new`, until the watermark
    has passed the edge by the lateness: from then on all are `new`'s, and an event before the edge
    is late, unless the bin of `new` that the edge lies in begins before it. `switch` is called
    between the last block of the one and the first of the other. The outcome does not depend on how
    the stream is cut into chunks.
    """

    def __init__(
        self, old: Bins, new: Binner, lateness_us: int, switch: Callable[[], None]
    ) -> None:
        self.new = new
        old.freeze()
        self._at_us = common_edge_us(old.edge_us, old.length_us, new.dt_us)
        self._until_us = self._at_us + lateness_us
        self._old = old
        self._switch = switch
        self.done = False
        new.begin(self._at_us)

    @property
    def dt_us(self) -> int:
        """Length of the new bins."""
        return self.new.dt_us

    @property
    def begun(self) -> bool:
        """Whether an event has been binned: else there is nothing to hand over."""
        return True

    @property
    def edge_us(self) -> int:
        """See `Binner.edge_us`; not before the old bins end."""
        length_us = self.new.length_us
        return max(self.new.edge_us, -(-self._at_us // length_us) * length_us)

    @property
    def length_us(self) -> int:
        """See `Binner.length_us`."""
        return self.new.length_us

    def gather(self, n: int) -> None:
        """Gather the new bins, see `Binner.gather`."""
        self.new.gather(n)

    def freeze(self) -> None:
        """See `Binner.freeze`."""
        self.new.freeze()

    def feed(self, chunk: EventChunk) -> Iterator[Block]:
        """Yield the bins that a chunk closes, the old ones first."""
        if self.done:
            yield from self.new.feed(chunk)
            return
        passed = self._passed(chunk)
        early = chunk.t_us < self._at_us
        early[passed:] = False
        # Until then the lateness keeps the old bins from closing beyond the edge.
        t_end_us = min(chunk.t_end_us, self._until_us)
        yield from followed(self._old.feed(_where(chunk, early, t_end_us, chunk.lost)))
        if passed < len(chunk) or chunk.t_end_us >= self._until_us:
            yield from followed(self._hand_over())
        yield from self.new.feed(_where(chunk, ~early, chunk.t_end_us, 0))

    def close_until(self, t_us: int) -> Iterator[Block]:
        """See `Binner.close_until`."""
        if not self.done:
            yield from followed(self._hand_over())
        yield from self.new.close_until(t_us)

    def finish(self) -> Iterator[Block]:
        """Yield what is still open of both, up to the bin of the last binned event."""
        if not self.done and not self.new.binned_since:
            # The stream ends before its new bins begin.
            yield from self._old.finish()
            return
        if not self.done:
            yield from followed(self._hand_over())
        yield from self.new.finish()

    def leap(self, t_us: int) -> Iterator[Block]:
        """Yield what is still open of both, then go on at an event time; see `Binner.leap`."""
        yield from self.finish()
        if not self.done:
            self.done = True
            self._switch()
        yield from self.new.leap(t_us)

    def _hand_over(self) -> Iterator[Block]:
        yield from self._old.close_until(self._at_us)
        self.done = True
        self._switch()

    def _passed(self, chunk: EventChunk) -> int:
        """Return how many events come before the first that takes the watermark past the edge."""
        far: NDArray[np.bool_] = chunk.t_us >= self._until_us
        if far.any():
            far &= inside(columns_of(chunk), self.new.layout)
        return int(far.argmax()) if far.any() else len(chunk)


def _where(chunk: EventChunk, keep: NDArray[np.bool_], t_end_us: int, lost: int) -> EventChunk:
    def of(column: NDArray[np.generic] | None) -> NDArray[np.generic] | None:
        return None if column is None else np.ascontiguousarray(column[keep])

    return EventChunk(
        t_us=chunk.t_us[keep],
        t_end_us=t_end_us,
        x=of(chunk.x),  # type: ignore[arg-type]
        y=of(chunk.y),  # type: ignore[arg-type]
        on=of(chunk.on),  # type: ignore[arg-type]
        channel=of(chunk.channel),  # type: ignore[arg-type]
        stream=chunk.stream,
        sequence=chunk.sequence,
        lost=lost,
    )
