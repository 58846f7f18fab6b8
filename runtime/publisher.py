"""Publish a source to a daemon: at the sensor's own pace, or as fast as the daemon steps."""

import secrets
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from retempo.runtime.errors import FeedError
from retempo.runtime.feed import PATIENCE_S, TIMEOUT_S
from retempo.runtime.link import Link
from retempo.runtime.pacing import OnLeap, paced
from retempo.runtime.publish_report import PublishReport
from retempo.runtime.security.client import ClientKeys
from retempo.runtime.send_ring import RING_BYTES
from retempo.runtime.send_stream import SendStream
from retempo.runtime.slices import slices
from retempo.sensors.errors import SensorError
from retempo.sensors.events import EventChunk, LiveSource, Source, live_of
from retempo.sensors.pieces import split
from retempo.sensors.tally import Tallied
from retempo.sensors.wire import Cursor

# Unpaced, silence is told in steps short enough for the daemon to answer between them.
UNPACED_SLICE_US = 50_000


def publish(
    source: Source,
    endpoint: str,
    *,
    stream: str | None = None,
    speed: float | None = None,
    timeout_s: float = TIMEOUT_S,
    patience_s: float = PATIENCE_S,
    keys: ClientKeys | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    on_leap: OnLeap = lambda _: None,
) -> PublishReport:
    """Send a whole source to a daemon and wait until it has decided all of it.

    Args:
        source: what to send. A live source paces itself: leave `speed` at None.
        endpoint: the daemon's feed, `tcp://127.0.0.1:7710`.
        stream: the stream's name, the source's own if None.
        speed: how much faster than the sensor; 1 is its own pace, None as fast as possible.
        timeout_s: how long the daemon may be silent when it has something to answer.
        patience_s: how long to try to come back to a daemon that is lost after it has opened the
            stream.
        keys: this client's and the daemon's; None sends in clear.
        clock: seconds, for the pace.
        sleep: waits seconds, for the pace.
        on_leap: told of leaps of event time that the pace does not wait for, see `runtime.pacing`.

    Raises:
        FeedError: no daemon answers, it refuses the stream, or it goes away for longer than the
            patience.
        SensorError: the source cannot be read to its end.
    """
    with Sender(endpoint, timeout_s, patience_s, keys=keys) as sender:
        return sender.publish(
            source, stream=stream, speed=speed, clock=clock, sleep=sleep, on_leap=on_leap
        )


class Sender:
    """A connection to a daemon, for one stream after the other. A context manager.

    Args:
        endpoint: the daemon's feed.
        timeout_s: how long it may be silent when it has something to answer.
        patience_s: how long to try to come back to it.
        ring_bytes: what may be kept of a stream, sent or not.
        keys: this client's and the daemon's; None sends in clear.

    Raises:
        FeedError: the endpoint is malformed.
    """

    def __init__(
        self,
        endpoint: str,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
        ring_bytes: int = RING_BYTES,
        keys: ClientKeys | None = None,
    ) -> None:
        self._timeout_s, self._patience_s, self._ring_bytes = timeout_s, patience_s, ring_bytes
        self._link = Link(endpoint, keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a stream that has not ended is ended by the daemon."""
        self._link.close()

    def publish(
        self,
        source: Source,
        *,
        stream: str | None = None,
        speed: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        on_leap: OnLeap = lambda _: None,
    ) -> PublishReport:
        """As the function `publish`, over this connection; a live source is closed behind it."""
        live = live_of(source)
        try:
            return self._publish(source, live, stream, speed, clock, sleep, on_leap)
        finally:
            if live is not None:
                live.close()

    def _publish(
        self,
        source: Source,
        live: LiveSource | None,
        stream: str | None,
        speed: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        on_leap: OnLeap,
    ) -> PublishReport:
        if speed is not None and not 0 < speed < float("inf"):
            raise FeedError(f"the speed is a positive number, or max; got {speed:g}")
        if live is not None and speed is not None:
            raise FeedError(
                f"{source.name} is live and has a pace of its own, got the speed {speed:g}; "
                "leave it out"
            )
        at = Cursor(
            stream or source.name,
            source.geometry,
            secrets.randbits(61),
            clock="sensor" if live is None else live.clock,
        )
        # A recording waits for the daemon; what happens now does not.
        sending = SendStream(
            self._link,
            at,
            sheds=live is not None,
            ring_bytes=self._ring_bytes,
            timeout_s=self._timeout_s,
            patience_s=self._patience_s,
        )
        sending.open()
        began_s, t_end_us = clock(), 0
        chunks: Iterator[EventChunk]
        # The wire carries no counts but `lost`.
        tallied = Tallied(source)
        if speed is None:
            chunks = (due.chunk for due in slices(tallied, UNPACED_SLICE_US))
        else:
            chunks = paced(tallied, speed, clock=clock, sleep=sleep, on_leap=on_leap)
        try:
            for chunk in chunks:
                for piece in split(chunk):
                    sending.put(piece)
                t_end_us = chunk.t_end_us
        except SensorError:
            # What has been sent is decided to its end; why there is no more is for the caller.
            sending.end(t_end_us)
            raise
        counters = sending.end(t_end_us)
        return PublishReport(
            counters=counters,
            messages=sending.at.sequence,
            events=sending.at.sent,
            seconds=clock() - began_s,
            removed=tallied.removed,
            lost=sending.at.lost - sending.shed,
            problems=tallied.problems,
            shed=sending.shed,
            reopened=sending.reopened,
            forgotten=sending.forgotten,
        )
