"""Event chunks: what every sensor, file and socket hands on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.errors import GeometryError
from retempo.sensors.geometry import Geometry
from retempo.sensors.packet import Packet

Times = NDArray[np.int64]
Addresses = NDArray[np.uint16]
Polarities = NDArray[np.bool_]
_TIME, _ADDRESS, _POLARITY = np.dtype(np.int64), np.dtype(np.uint16), np.dtype(np.bool_)
# Whose clock the times of a stream are of.
Clock = Literal["sensor", "host"]


@dataclass(frozen=True, slots=True, eq=False)
class EventChunk:
    """A batch of events as columns, in the order in which the sensor gave them.

    A grid sensor fills `x`, `y` and `on`; a channel sensor fills `channel`. `t_end_us` is the
    watermark: no later chunk of this stream holds an event before it. `lost` counts the events
    that are known to be missing between the chunk before and this one. `problems` counts by kind
    what was found wrong while this chunk was decoded (see `sensors.problems`), `removed` counts by
    filter the events that were taken out on purpose. `sequence` counts chunks. The columns of a
    chunk of `unread_chunk` are read from its `packet` when first looked at.

    Shapes: every column is `(events,)`. Units: microseconds of the sensor's clock.

    Raises:
        GeometryError: columns are missing, differ in length or have another dtype.
    """

    t_us: Times
    t_end_us: int
    x: Addresses | None = None
    y: Addresses | None = None
    on: Polarities | None = None
    channel: Addresses | None = None
    stream: str = ""
    sequence: int = 0
    lost: int = 0
    problems: Mapping[str, int] = field(default_factory=dict)
    removed: Mapping[str, int] = field(default_factory=dict)
    packet: Packet | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        # A live stream makes thousands a second: what is right is let through by one look each.
        if not self._is_plain():
            self._check()

    def _is_plain(self) -> bool:
        t_us, x, y, on = self.t_us, self.x, self.y, self.on
        if x is None or y is None or on is None or self.channel is not None:
            return False
        shape = t_us.shape
        return (
            len(shape) == 1
            and t_us.dtype == _TIME
            and x.dtype == _ADDRESS == y.dtype
            and on.dtype == _POLARITY
            and x.shape == shape == y.shape
            and on.shape == shape
        )

    def _check(self) -> None:
        grid = [column is not None for column in (self.x, self.y, self.on)]
        if not (all(grid) if self.channel is None else not any(grid)):
            raise GeometryError("a chunk has x, y and on, or channel alone")
        wanted = {"t_us": np.int64, "x": np.uint16, "y": np.uint16, "on": np.bool_}
        wanted["channel"] = np.uint16
        for name, dtype in wanted.items():
            column = getattr(self, name)
            if column is None:
                continue
            if column.dtype != dtype or column.shape != self.t_us.shape or column.ndim != 1:
                raise GeometryError(
                    f"column {name} is {column.dtype} of shape {column.shape}, "
                    f"expected {np.dtype(dtype)} of shape {self.t_us.shape}"
                )

    def __len__(self) -> int:
        packet = self.packet
        return len(self.t_us) if packet is None else packet.count

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Fill what `unread_chunk` has left empty."""
            if name not in _UNREAD:
                raise AttributeError(name)
            for column, values in {**self.packet.columns(), "problems": {}, "removed": {}}.items():
                object.__setattr__(self, column, values)
            return object.__getattribute__(self, name)


_UNREAD = frozenset(("t_us", "x", "y", "on", "channel", "problems", "removed"))


def unread_chunk(packet: Packet, t_end_us: int, stream: str, sequence: int) -> EventChunk:
    """Return the chunk of a packet; see `EventChunk`.

    A live stream makes thousands a second, and most are binned without a look at their columns.
    """
    chunk = _new(EventChunk)
    _set_t_end_us(chunk, t_end_us)
    _set_stream(chunk, stream)
    _set_sequence(chunk, sequence)
    _set_lost(chunk, 0)
    _set_packet(chunk, packet)
    return chunk


# The slots themselves: `EventChunk` is frozen, and its own way to set one takes twice as long.
_new = object.__new__
_set_t_end_us, _set_stream, _set_sequence, _set_lost, _set_packet = (
    vars(EventChunk)[name].__set__ for name in ("t_end_us", "stream", "sequence", "lost", "packet")
)


@runtime_checkable
class Source(Protocol):
    """Anything that yields event chunks: a file, a camera, a socket, a simulation."""

    @property
    def name(self) -> str:
        """A short name for messages and streams."""
        ...

    @property
    def geometry(self) -> Geometry:
        """The addresses that can fire."""
        ...

    def __iter__(self) -> Iterator[EventChunk]:
        """Chunks in stream order; a source that can be replayed starts afresh at each call."""
        ...


@runtime_checkable
class LiveSource(Source, Protocol):
    """A source that happens now: it has its own pace, may never end and cannot start afresh."""

    @property
    def clock(self) -> Clock:
        """Whose clock its times are of."""
        ...

    @property
    def about(self) -> str:
        """What it reads, as one clause for a person."""
        ...

    def stop(self) -> None:
        """End the stream; iterating yields what has arrived and then ends.

        May be called from a signal's handler or another thread, any number of times.
        """
        ...

    def close(self) -> None:
        """Let go of the device, whether or not it has been iterated; any number of times."""
        ...


def live_of(source: Source) -> LiveSource | None:
    """Return the live source that is one or stands behind filters, None where it is recorded."""
    within: object = source
    while isinstance(within, Source):
        if isinstance(within, LiveSource):
            return within
        within = getattr(within, "source", None)
    return None
