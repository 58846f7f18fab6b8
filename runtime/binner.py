"""Bins of a stream: chunks in, closed bins out, every event accounted for."""

from collections.abc import Iterator

from retempo.runtime.binning import FOREVER, LATEST, NO_BIN, OLDEST
from retempo.runtime.counters import Counters
from retempo.runtime.errors import InputError
from retempo.runtime.kernel_events import Events, events_of
from retempo.runtime.layout import BinLayout, geometry_of
from retempo.runtime.saved_state import Saved
from retempo.runtime.sparse_bins import Block, SparseBins
from retempo.runtime.window import advance, drain
from retempo.runtime.window_saved import load_window, save_window
from retempo.runtime.window_table import (
    BEGUN,
    FIRST,
    GATHER,
    GIVEN,
    IN_GAP,
    NO_TIME_US,
    PATIENCE,
    POSITION,
    STARTED,
    T_END,
    TARGET,
    TOLD,
    WANTED,
    WINDOW_BYTES,
    Window,
)
from retempo.sensors.events import EventChunk
from retempo.sensors.evt import Packed
from retempo.sensors.pieces import no_events

# Longer than any silence worth stepping: by then every state has come to rest.
SILENCE_US = 600_000_000


class Binner:
    """Cuts one stream into bins of event time.

    The first bin is that of the first binned event. A bin closes when the watermark, the latest
    time that the stream has reached, passes its end plus the lateness, rounded up to whole bins.
    An event before the oldest open bin is late: counted, never binned into the past. Silence is
    closed bin by bin for `silence_us` after the last event; what is longer is a gap, counted and
    left out. So the bins do not depend on how the stream is cut into chunks, and no message costs
    an unbounded number of them.
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
        self.window = Window(
            layout, dt_us, lateness_us, silence_us, listed=True, window_bytes=window_bytes
        )
        self._table = self.window.table
        self._told = self._table[:TOLD]
        self._began = NO_BIN

    def gather(self, n: int) -> None:
        """From its next edge on, close `n` bins as one, by the bin mode of the network's input.

        That edge is the next multiple of `n * dt_us` that is also an edge of what is closed now,
        behind all bins that have been yielded. Events are counted in bins of `dt_us` all the time,
        so the lateness, silence and gaps stay those of `dt_us`; but a gap begins and ends at the
        edges of gathered bins.

        Raises:
            InputError: `n` is not 1 or more, or the bin mode `max` counts units that straddle bins.
        """
        spec = self.window.layout.spec
        if not 1 <= n <= FOREVER // self.dt_us:
            raise InputError(f"at least 1 bin of {self.dt_us} us is closed at a time, got {n}")
        if n > 1 and spec.bin_mode == "max" and self.dt_us % spec.bin_unit_us:
            raise InputError(
                f"bin mode max counts units of {spec.bin_unit_us} us, of which bins of "
                f"{self.dt_us} us cut some in two, so {n} of them do not make a longer bin; take a "
                "multiple of the unit as dt_us"
            )
        self._table[WANTED] = n

    @property
    def layout(self) -> BinLayout:
        """How addresses map to inputs."""
        return self.window.layout

    @property
    def begun(self) -> bool:
        """Whether an event has been binned."""
        return bool(self._table[LATEST] != NO_BIN)

    @property
    def binned_since(self) -> bool:
        """Whether an event has been binned at or after where it began, see `begin`."""
        return bool(self._table[LATEST] >= self._began)

    @property
    def gathers(self) -> bool:
        """Whether more than one bin is closed as one, or shall be."""
        return bool(self._table[GATHER] != 1 or self._table[WANTED] != 1)

    @property
    def edge_us(self) -> int:
        """The first edge of what is closed behind every binned event and every closed bin."""
        table, length_us = self._table, self.length_us
        behind = int(max(table[FIRST], table[LATEST] + 1)) * self.dt_us
        return -(-behind // length_us) * length_us

    @property
    def length_us(self) -> int:
        """How long what is closed as one is now."""
        return int(self._table[GATHER]) * self.dt_us

    def freeze(self) -> None:
        """Close bins as they are closed now from here on."""
        self._table[WANTED] = self._table[GATHER]

    def begin(self, t_us: int) -> None:
        """Begin, before any event, with the bin that an instant lies in: what is earlier is late.

        From there on every bin is closed, as behind a binned event.
        """
        table, first = self._table, t_us // self.dt_us
        self._began = first
        table[LATEST] = first - 1
        table[[FIRST, OLDEST, GIVEN, TARGET]] = first
        table[[STARTED, BEGUN]] = 1

    def close_until(self, t_us: int) -> Iterator[Block]:
        """Yield all bins before an edge, whatever the lateness."""
        nothing = events_of(no_events(geometry_of(self.layout.spec), 0))
        return self._fed(nothing, t_us + int(self._table[PATIENCE]) * self.dt_us)

    def feed(self, chunk: EventChunk) -> Iterator[Block]:
        """Yield the bins that the chunk closes; a block is valid until the next is asked for.

        If the iterator is left before its end, the events that it had not reached are not received.
        """
        self.lose(chunk.lost)
        return self._fed(events_of(chunk), chunk.t_end_us)

    def feed_packed(self, packed: Packed) -> Iterator[Block]:
        """As `feed`, for events as they come from the decoders of `sensors.evt`."""
        return self._fed((packed.words, packed.base_us), NO_TIME_US)

    def finish(self) -> Iterator[Block]:
        """Yield what is still open, up to the bin of the last binned event."""
        more = True
        while more:
            more = drain(self._table, True)
            block = self.taken(more)
            if block is not None:
                yield block

    def leap(self, t_us: int) -> Iterator[Block]:
        """Yield what is still open, then go on at an event time: what lies between is a gap."""
        yield from self.finish()
        table, first = self._table, t_us // self.dt_us
        if table[STARTED] and table[FIRST] < first:
            table[FIRST] = first
            self._counters.gaps += not table[IN_GAP]
            table[IN_GAP] = 1

    def save(self) -> Saved:
        """Return a copy of the open bins, between two chunks."""
        return save_window(self.window)

    def load(self, saved: Saved) -> None:
        """Let a binner that has seen nothing go on where a saved one stood.

        Raises:
            CheckpointError: it is the state of a binner of another layout.
        """
        load_window(self.window, saved)

    def _fed(self, events: Events, t_end_us: int) -> Iterator[Block]:
        table = self._table
        table[POSITION] = 0
        table[T_END] = t_end_us
        table[TARGET] = NO_BIN
        more = True
        while more:
            more = advance(table, events, True)
            block = self.taken(more)
            if block is not None:
                yield block

    def lose(self, lost: int) -> None:
        """Count events that are known to be missing before a chunk."""
        self._counters.lost += lost

    def taken(self, more: bool) -> Block | None:
        """Count what the last call has placed; return what it has closed, if anything.

        `more` says whether the call is to be made again.
        """
        first, bins, entries, n = self.placed()
        if not bins:
            return None
        window = self.window
        lists = SparseBins(
            window.starts[: bins + 1], window.inputs[:entries], window.values[:entries]
        )
        return Block(first, n * self.dt_us, lists, more)

    def placed(self) -> tuple[int, int, int, int]:
        """Count what the last call has placed.

        Returns:
            The first bin that it closed, how many, their entries, and how many bins of `dt_us` each
            of them is.
        """
        binned, late, invalid, masked, _, _, gaps, first, bins, entries, _, n = self._told.tolist()
        counters = self._counters
        if late or invalid or masked or gaps:
            counters.place(binned, late, invalid, masked, gaps)
        else:
            counters.received += binned
            counters.binned += binned
        return first, bins, entries, n
