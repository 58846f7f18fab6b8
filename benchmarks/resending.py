"""A sender that keeps its messages and sends again what a daemon that came back has not stepped.

Of its own, not `retempo.runtime.publisher`: what is tested with it is the daemon's side alone.
"""

import threading
import time
from collections.abc import Sequence

import zmq

from retempo.runtime.feed import Credit, Ended, Refusal, decode_reply
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message

_POLL_MS = 20
# How long a daemon may take to answer `open` before it is asked again.
_PATIENCE_S = 0.5


class ResendingSender(threading.Thread):
    """Sends one stream's chunks at a pace, through any number of restarts of the daemon.

    `chunk_s` is how long after one chunk the next is due; what a restart has held up is sent as
    fast as the daemon takes it. `ended` holds the daemon's counters once the stream has ended.
    """

    def __init__(
        self,
        endpoint: str,
        stream: str,
        epoch: int,
        geometry: Geometry,
        chunks: Sequence[EventChunk],
        chunk_s: float = 0.0,
    ) -> None:
        super().__init__(daemon=True)
        self.endpoint = endpoint
        self.ended: dict[str, int] | None = None
        self.sent_again = 0
        self.name_of_stream = stream
        self._chunks = chunks
        self._chunk_s = chunk_s
        self._cursors = [Cursor(stream, geometry, epoch)]
        for chunk in chunks:
            self._cursors.append(self._cursors[-1].after(chunk))
        self._geometry = geometry
        self._window = 0
        self._next = 0
        self._furthest = 0
        self._acknowledged = self._durable = -1
        self._again = threading.Event()
        self._again.set()
        self._stopped = False

    def come_back(self, endpoint: str) -> None:
        """Go on with the daemon at an endpoint."""
        self.endpoint = endpoint
        self._again.set()

    def stop(self) -> None:
        """End, whatever is left."""
        self._stopped = True

    def run(self) -> None:
        """Send until the stream has ended."""
        began_s = time.monotonic()
        context = zmq.Context()
        while self.ended is None and not self._stopped:
            with context.socket(zmq.DEALER) as dealer:
                dealer.set(zmq.LINGER, 0)
                dealer.connect(self.endpoint)
                self._again.clear()
                self._serve(dealer, began_s)
        context.term()

    def _serve(self, dealer: "zmq.Socket[bytes]", began_s: float) -> None:
        """Open, and send until the daemon has gone or the stream has ended."""
        opened = end_sent = False
        asked_s = 0.0
        while not (self._again.is_set() or self._stopped or self.ended is not None):
            now_s = time.monotonic()
            if not opened and now_s - asked_s > _PATIENCE_S:
                asked_s = now_s
                # From the oldest message that is kept: a daemon that knows nothing begins there.
                at = self._cursors[self._durable + 1]
                dealer.send_multipart(encode_message("open", no_events(self._geometry, 0), at))
            while dealer.poll(0 if opened and self._may_send(now_s - began_s) else _POLL_MS):
                reply = decode_reply(dealer.recv(), self.endpoint)
                if isinstance(reply, Ended):
                    self.ended = reply.counters
                    return
                if isinstance(reply, Refusal):
                    time.sleep(_POLL_MS / 1e3)
                    self._again.set()
                    return
                if isinstance(reply, Credit):
                    self._credit(reply, opened=opened)
                    opened = True
            if opened and self._may_send(time.monotonic() - began_s):
                self._send(dealer)
            elif opened and not end_sent and self._acknowledged == len(self._chunks) - 1:
                last = self._chunks[-1].t_end_us
                at = self._cursors[-1]
                dealer.send_multipart(encode_message("end", no_events(self._geometry, last), at))
                end_sent = True

    def _credit(self, credit: Credit, *, opened: bool) -> None:
        if not opened:
            # A daemon that came back may have stepped less than the one before.
            self._next = credit.acknowledged + 1
            self._acknowledged = credit.acknowledged
        self._window = credit.window
        self._acknowledged = max(self._acknowledged, credit.acknowledged)
        durable = credit.acknowledged if credit.durable is None else credit.durable
        if durable < self._durable:
            raise AssertionError(f"durable went back from {self._durable} to {durable}")
        self._durable = durable

    def _may_send(self, passed_s: float) -> bool:
        return (
            self._next < len(self._chunks)
            and self._next - self._acknowledged <= self._window
            and (self._next < self._furthest or self._next * self._chunk_s <= passed_s)
        )

    def _send(self, dealer: "zmq.Socket[bytes]") -> None:
        chunk, at = self._chunks[self._next], self._cursors[self._next]
        dealer.send_multipart(encode_message("events", chunk, at))
        self.sent_again += self._next < self._furthest
        self._next += 1
        self._furthest = max(self._furthest, self._next)
