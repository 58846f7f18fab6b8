"""How many peers a bound socket has, and how many never got through the handshake."""

from collections import deque
from dataclasses import dataclass, field

import zmq

from retempo.runtime.security.monitors import Happening

KINDS = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_ACCEPT_FAILED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)


@dataclass(slots=True)
class Peers:
    """Counts the peers of one socket from its events.

    libzmq does not say which connection's handshake has succeeded, but it cuts every one that has
    not within `handshake_s`. So whoever is older than that is a peer, and of the younger ones at
    most as many as were admitted within that time.

    `failures` are connections that ended before their handshake did, for whatever reason; `suspect`
    is the address of the last that seems to be one.
    """

    handshake_s: float
    accepted: int = 0
    succeeded: int = 0
    accept_failures: int = 0
    failures: int = 0
    suspect: str = ""
    _open: dict[int, tuple[float, str]] = field(default_factory=dict)
    _admitted: deque[float] = field(default_factory=deque)
    _failed: int = 0

    def happened(self, happening: Happening, now_s: float, address: str = "") -> None:
        """Take an event; `address` is that of a peer that has just been accepted."""
        kind, value = happening.kind, happening.value
        if kind == zmq.EVENT_ACCEPTED:
            self.accepted += 1
            self._open[value] = (now_s, address)
        elif kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self.succeeded += 1
        elif kind == zmq.EVENT_ACCEPT_FAILED:
            self.accept_failures += 1
        elif kind == zmq.EVENT_DISCONNECTED:
            since_s, address = self._open.pop(value, (now_s, ""))
            if now_s - since_s <= self.handshake_s:
                self.suspect = address
        else:
            self._failed += 1

    def settle(self, now_s: float, *, closing: bool = False) -> int:
        """Return how many handshakes more than at the last call have failed.

        What was accepted, has not succeeded and is not still trying has failed: the greetings of
        other protocols, and of ZMTP before 3.0, end without an event of their own. Nobody still
        tries when the socket is `closing`.
        """
        before = self.failures
        sure = self.accepted - self.succeeded - (0 if closing else self._young(now_s))
        self.failures = max(before, self._failed, sure)
        return self.failures - before

    def admit(self, now_s: float) -> None:
        """Count a peer that is being let in."""
        self._admitted.append(now_s)

    def connected(self, now_s: float) -> int:
        """Return how many peers there are, at most; exact once no connection is young."""
        while self._admitted and now_s - self._admitted[0] > self.handshake_s:
            self._admitted.popleft()
        old = len(self._open) - self._young(now_s)
        return min(old + len(self._admitted), len(self._open))

    def others(self, now_s: float) -> int:
        """Return how many peers there are besides the one that is just being judged."""
        return min(self.connected(now_s), max(0, len(self._open) - 1))

    def _young(self, now_s: float) -> int:
        count = 0
        for since_s, _ in reversed(self._open.values()):  # the youngest first
            if now_s - since_s > self.handshake_s:
                break
            count += 1
        return count
