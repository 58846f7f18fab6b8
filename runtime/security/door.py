"""The daemon's door: who connects is asked for a key, let in or refused, and counted."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import zmq

from retempo.runtime.endpoints import bind, check_form, find_the_dead
from retempo.runtime.event_log import EventLog
from retempo.runtime.security.exposure import check_exposed, socket_access
from retempo.runtime.security.monitors import Monitor, has_message
from retempo.runtime.security.peers import KINDS, Peers
from retempo.runtime.security.settings import Security
from retempo.runtime.security.zap import ACCEPTED, ENDPOINT, FULL, answer, judge, read_request

# A peer that has not said who it is by then is cut.
HANDSHAKE_S = 2.0
# The cut comes a little later, and its event later still.
_SLACK_S = 0.5
# A crowd that comes at once waits to be accepted; who finds no place there loses a second.
_BACKLOG = 1_024
# A look costs some microseconds, and a busy loop ticks for every block of steps.
_LOOK_S = 2e-3
# How often the files of the allow-list are looked at.
_REFRESH_S = 1.0
# And how soon again for a client that is not on it: it may have been put there just now.
_REFRESH_SOON_S = 0.1


class DoorCounts(msgspec.Struct):
    """What has happened at the door.

    `connections` are there now, `connected` came in so far. `auth_failures` had no listed key,
    `turned_away` came when the daemon was full. `handshake_failures` spoke no ZMTP, spoke it in
    clear or with another server key where keys are asked for, or did not finish in time.
    `accept_failures` are connections for which the process had no file descriptor left, `revoked`
    messages of clients whose key has been taken off the list since they connected.
    """

    connections: int = 0
    connected: int = 0
    auth_failures: int = 0
    turned_away: int = 0
    handshake_failures: int = 0
    accept_failures: int = 0
    revoked: int = 0


class Door:
    """Guards the bound sockets of a context; a `runtime.daemon.Chore`.

    It must be made before a socket is bound: libzmq asks nobody where nobody listens.

    Args:
        context: of the sockets.
        security: who may come in.
        log: told of every refusal.
        clock: seconds.
    """

    def __init__(
        self,
        context: "zmq.Context[Any]",
        security: Security,
        log: EventLog,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = DoorCounts()
        self._security = security
        self._log = log
        self._clock = clock
        self._zap: zmq.Socket[bytes] = context.socket(zmq.REP)
        self._zap.set(zmq.LINGER, 0)
        self._zap.bind(ENDPOINT)
        self._monitors: dict[str, Monitor] = {}
        self._peers: dict[str, Peers] = {}
        self._poller = zmq.Poller()
        self._poller.register(self._zap, zmq.POLLIN)
        self._looked_s = self._refreshed_s = self._counted_s = clock()

    def bind(self, sock: "zmq.Socket[Any]", endpoint: str, key: str) -> str:
        """Bind a socket under guard; as `runtime.endpoints.bind`.

        Raises:
            SecurityError: the network would be served in clear.
            FeedError: as `runtime.endpoints.bind`.
        """
        check_form(endpoint, key)
        security = self._security
        check_exposed(
            endpoint,
            key,
            encrypted=security.keys is not None,
            clear_on_network=security.clear_on_network,
        )
        domain = f"{len(self._peers)}"
        sock.set(zmq.BACKLOG, _BACKLOG)
        find_the_dead(sock)
        sock.set(zmq.HANDSHAKE_IVL, int(HANDSHAKE_S * 1e3))
        # With a domain libzmq asks of peers in clear too, and takes none below ZMTP 3.0.
        sock.set(zmq.ZAP_DOMAIN, domain.encode())
        sock.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        if security.keys is not None:
            sock.set(zmq.CURVE_SERVER, 1)
            sock.set(zmq.CURVE_SECRETKEY, security.keys.secret.encode())
        self._peers[domain] = Peers(HANDSHAKE_S + _SLACK_S)
        self._monitors[domain] = Monitor(sock, KINDS)
        self._poller.register(self._monitors[domain].socket, zmq.POLLIN)
        with socket_access(security.ipc):
            return bind(sock, endpoint, key)

    @property
    def sources(self) -> Sequence[Any]:
        """See `runtime.daemon.Chore`."""
        return [self._zap, *(monitor.socket for monitor in self._monitors.values())]

    def tick(self) -> None:
        """Count who came and went, and answer who asks to come in."""
        now_s = self._clock()
        if now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        self._refresh(now_s, _REFRESH_S)
        if self._look(now_s) or now_s - self._counted_s >= _REFRESH_S:
            self._counted_s = now_s
            self._count(now_s)

    def admits(self, frame: zmq.Frame) -> bool:
        """Whether the sender of a message is still listed; counts it if not."""
        allow = self._security.allow
        if allow is None or not allow.revoked or frame.get("User-Id") not in allow.revoked:
            return True
        self.counts.revoked += 1
        self._log.warning("revoked", name=frame.get("User-Id"))
        return False

    def close(self) -> None:
        """Say what has happened at the door."""
        now_s = self._clock()
        self._look(now_s)
        self._count(now_s, closing=True)
        self._log.info("door", **msgspec.structs.asdict(self.counts))

    def release(self) -> None:
        """Close its sockets; before those that it guards."""
        for monitor in self._monitors.values():
            monitor.close()
        self._zap.close()

    def _refresh(self, now_s: float, after_s: float) -> None:
        allow = self._security.allow
        if allow is None or now_s - self._refreshed_s < after_s:
            return
        self._refreshed_s = now_s
        if not allow.refresh():
            return
        self._log.info("allow_list", clients=len(allow.allowed.names))
        for problem in allow.allowed.problems:
            self._log.error("allow_list_problem", reason=problem)

    def _look(self, now_s: float) -> bool:
        """Take what has come in; returns whether anything has."""
        if not self._poller.poll(0):
            return False
        # Who asks has been accepted before: so is counted before.
        for domain, monitor in self._monitors.items():
            for happening in monitor.read():
                accepted = happening.kind == zmq.EVENT_ACCEPTED
                address = _address(happening.value) if accepted else ""
                self._peers[domain].happened(happening, now_s, address)
        while has_message(self._zap):
            self._answer(now_s)
        return True

    def _answer(self, now_s: float) -> None:
        frames = self._zap.recv_multipart()
        request = read_request(frames)
        peers = self._peers.get(request.domain) if request else None
        if request is None or peers is None:
            # No answer is a refusal, but REP must answer before it hears the next.
            self._zap.send_multipart([b"1.0", b"".join(frames[1:2]), b"500", b"", b"", b""])
            return
        allow = self._security.allow
        if allow is not None and allow.name_of(request.key) is None:
            self._refresh(now_s, _REFRESH_SOON_S)
        name_of = None if self._security.keys is None or allow is None else allow.name_of
        verdict = judge(request, name_of, peers.others(now_s), self._security.connections)
        self._zap.send_multipart(answer(request.number, verdict))
        if verdict.code == ACCEPTED:
            peers.admit(now_s)
            return
        full = verdict.code == FULL
        self.counts.turned_away += full
        self.counts.auth_failures += not full
        self._log.warning(
            "turned_away" if full else "auth_failure",
            address=request.address,
            key=request.key,
            reason=verdict.reason,
        )

    def _count(self, now_s: float, *, closing: bool = False) -> None:
        every = self._peers.values()
        for peers in every:
            failed = peers.settle(now_s, closing=closing)
            if failed:
                self._log.warning("handshake_failure", address=peers.suspect, times=failed)
        counts = self.counts
        refused = counts.auth_failures + counts.turned_away
        counts.connections = sum(peers.connected(now_s) for peers in every)
        counts.connected = sum(peers.succeeded for peers in every)
        failures = sum(peers.failures for peers in every) - refused
        counts.handshake_failures = max(counts.handshake_failures, failures)
        accept_failures = sum(peers.accept_failures for peers in every)
        if accept_failures > counts.accept_failures:
            counts.accept_failures = accept_failures
            self._log.error("accept_failure", times=accept_failures)


def _address(descriptor: int) -> str:
    """Return who is at the other end of a connection of libzmq's, as well as can be told.

    The connection may be gone by now: this is for the log alone.
    """
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as peer:
        name = peer.getpeername()
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "ipc"
    return ""
