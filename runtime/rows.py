"""Bins as dense rows, many at a time: for training, measuring and whatever multiplies matrices."""

from collections.abc import Iterator

from retempo.runtime.bin_modes import inputs_of
from retempo.runtime.binner import SILENCE_US
from retempo.runtime.binning import NO_BIN
from retempo.runtime.counters import Counters
from retempo.runtime.kernel_events import Events, events_of
from retempo.runtime.layout import BinLayout, Bins
from retempo.runtime.window import advance, drain
from retempo.runtime.window_table import (
    NO_TIME_US,
    POSITION,
    T_END,
    TARGET,
    TOLD,
    WINDOW_BYTES,
    Window,
)
from retempo.sensors.events import EventChunk
from retempo.sensors.evt import Packed


class RowBinner:
    """The bins and counters of `runtime.binner.Binner`, as rows that lie together in its window.

    They come as the number of the first and `(bins, inputs)`, valid until the next are asked for.
    """

    def __init__(
        self,
        layout: BinLayout,
        dt_us: int,
        counters: Counters,
        lateness_us: int = 0,
        silence_us: int = SILENCE_US,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        self.dt_us = dt_us
        self._counters = counters
        self._window = Window(
            layout, dt_us, lateness_us, silence_us, listed=False, window_bytes=window_bytes
        )

    def feed(self, chunk: EventChunk) -> Iterator[tuple[int, Bins]]:
        """Yield the bins that the chunk closes; see `runtime.binner.Binner.feed`."""
        self._counters.lost += chunk.lost
        return self._fed(events_of(chunk), chunk.t_end_us)

    def feed_packed(self, packed: Packed) -> Iterator[tuple[int, Bins]]:
        """As `feed`, for events as they come from the decoders of `sensors.evt`."""
        return self._fed((packed.words, packed.base_us), NO_TIME_US)

    def finish(self) -> Iterator[tuple[int, Bins]]:
        """Yield what is still open, up to the bin of the last binned event."""
        more = True
        while more:
            more = drain(self._window.table, None)
            yield from self._taken()

    def _fed(self, events: Events, t_end_us: int) -> Iterator[tuple[int, Bins]]:
        table = self._window.table
        table[POSITION], table[T_END], table[TARGET] = 0, t_end_us, NO_BIN
        more = True
        while more:
            more = advance(table, events, None)
            yield from self._taken()

    def _taken(self) -> Iterator[tuple[int, Bins]]:
        binned, late, invalid, masked, _, _, gaps, first, bins, _, slot, _ = self._window.table[
            :TOLD
        ].tolist()
        self._counters.place(binned, late, invalid, masked, gaps)
        if bins:
            rows = self._window.rows[slot : slot + bins]
            yield first, inputs_of(rows, self._window.layout.spec, self.dt_us)
