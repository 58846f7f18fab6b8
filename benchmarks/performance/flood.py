"""A stream as fast as one asks for, of messages made beforehand."""

import time

import zmq

from benchmarks.performance.event_streams import GEOMETRY
from benchmarks.performance.made_messages import made, moved
from benchmarks.performance.paces import save
from benchmarks.performance.processes import say_ready
from retempo.runtime.feed import Credit, Ended, Refusal, Rejection, SendWindow, decode_reply
from retempo.sensors.pieces import GRID_EVENT_BYTES, PAYLOAD_BYTES, no_events
from retempo.sensors.wire import Cursor, encode_message

_MESSAGES = 64
_TIMEOUT_MS = 10_000
# A sender that is ahead by less goes on, rather than sleep so often.
_SLEEP_S = 2e-4


def message_size(rate_hz: float) -> tuple[int, int]:
    """Return how many events a message holds and how many whole microseconds it spans."""
    most = PAYLOAD_BYTES // GRID_EVENT_BYTES
    span_us = max(1, min(50_000, int(most / rate_hz * 1e6)))
    return min(most, round(rate_hz * span_us / 1e6)), span_us


class Flood:
    """One stream on its way to a daemon, within the daemon's credit."""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._socket = socket
        self.window = SendWindow()
        self.counters: dict[str, int] | None = None

    def open(self) -> None:
        self._socket.send_multipart(_control("open", 0, 0, 0))
        while not self.window.room:
            self.hear(_TIMEOUT_MS)

    def send(self, header: bytes, payload: bytes) -> None:
        while self._socket.poll(0):
            self.hear(0)
        while not self.window.room:
            self.hear(_TIMEOUT_MS)
        self.window.send()
        self._socket.send(header, zmq.SNDMORE)
        self._socket.send(payload, copy=False)

    def end(self, t_end_us: int, sent: int) -> None:
        self._socket.send_multipart(_control("end", t_end_us, self.window.next_sequence, sent))
        while self.counters is None:
            self.hear(_TIMEOUT_MS)

    def hear(self, timeout_ms: int) -> None:
        """Take one reply of the daemon.

        Raises:
            RuntimeError: there is none, or the daemon refuses the stream.
        """
        if not self._socket.poll(timeout_ms):
            raise RuntimeError("the daemon is silent")
        reply = decode_reply(self._socket.recv_multipart()[0], "the daemon")
        if isinstance(reply, Refusal | Rejection):
            raise RuntimeError(f"the daemon refuses the stream: {reply.reason}")
        if isinstance(reply, Credit):
            self.window.acknowledge(reply)
        if isinstance(reply, Ended):
            self.counters = reply.counters


def flood(endpoint: str, out: str, rate: str, seconds: str) -> None:
    """Send random events at a rate for so long; tell what was sent and how late it was at most."""
    count, span_us = message_size(float(rate))
    messages = made("flood", GEOMETRY, _MESSAGES, count, span_us)
    total = round(float(seconds) * 1e6 / span_us)
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.set(zmq.SNDHWM, 0)
    socket.connect(endpoint)
    stream = Flood(socket)
    stream.open()
    say_ready()
    began_s, behind_s = time.monotonic(), 0.0
    for k in range(total):
        template, payload = messages[k % len(messages)]
        due_s = began_s + (k + 1) * span_us / 1e6
        ahead_s = due_s - time.monotonic()
        if ahead_s > _SLEEP_S:
            time.sleep(ahead_s)
        stream.send(moved(template, k, span_us, k * count), payload)
        behind_s = max(behind_s, time.monotonic() - due_s)
    stream.end(total * span_us, total * count)
    took_s = time.monotonic() - began_s
    socket.close(linger=0)
    context.term()
    told = {"sent": total * count, "seconds": took_s, "planned_s": total * span_us / 1e6}
    save(out, {**told, "behind_s": behind_s, "counters": stream.counters})


def _control(kind: str, t_end_us: int, sequence: int, sent: int) -> list[bytes]:
    at = Cursor("flood", GEOMETRY, 1, sequence=sequence, sent=sent)
    empty = no_events(GEOMETRY, t_end_us)
    return [bytes(f) for f in encode_message("open" if kind == "open" else "end", empty, at)]
