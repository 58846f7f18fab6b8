"""Row 19: a wrong key, plain text, an unlisted client: nothing is accepted, and it is counted."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import zmq

from retempo.runtime.errors import FeedError
from retempo.runtime.feed import Credit, Reply, decode_reply
from retempo.runtime.publisher import Sender, publish
from retempo.runtime.security.allow import allow
from retempo.runtime.security.client import (
    ClientKeys,
    client_security,
    read_client_keys,
)
from retempo.runtime.security.errors import SecurityError
from retempo.runtime.security.keys import KeyFiles, new_keys
from retempo.runtime.security.settings import Security, security_of
from retempo.runtime.serve_config import SecurityConfig
from retempo.runtime.subscriber import Decisions
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.runtime.stand_in import (
    GRID,
    RECEIVE_S,
    Recorded,
    decided,
    essence,
    events,
    running_daemon,
)

pytestmark = pytest.mark.fault(19)

GOOD = Recorded("good", [events([100, 1_200, 2_500], 4_000)])


@dataclass(frozen=True)
class Keys:
    """A server's keys and list, a listed client, an unlisted one."""

    folder: Path
    security: Security
    listed: ClientKeys
    unlisted: ClientKeys

    @property
    def clients(self) -> Path:
        return self.folder / "clients"

    @property
    def wrong_server(self) -> ClientKeys:
        return replace(self.listed, server=self.unlisted.own.public)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made: dict[str, KeyFiles] = {n: new_keys(n, tmp_path) for n in ("server", "cam", "stranger")}
    allow(made["cam"].public, tmp_path / "clients")
    listed, unlisted = (
        read_client_keys(made[name].secret, made["server"].public) for name in ("cam", "stranger")
    )
    assert listed is not None
    assert unlisted is not None
    security = security_of(SecurityConfig(keys="server.key", allow="clients"), tmp_path)
    return Keys(tmp_path, security, listed, unlisted)


STRANGERS: dict[str, tuple[Callable[[Keys], ClientKeys | None], str, str]] = {
    "an unlisted client": (lambda k: k.unlisted, "does not list this client's key", "auth"),
    "a wrong server key": (lambda k: k.wrong_server, "is --server the public key", "handshake"),
    "plain text": (lambda _: None, "it asks for keys|does it ask for keys", "handshake"),
}


@pytest.mark.parametrize("who", sorted(STRANGERS))
def test_19_a_stranger_is_refused_told_and_counted_and_a_client_is_served(
    keys: Keys, who: str
) -> None:
    stranger, told, counted = STRANGERS[who]
    with running_daemon(security=keys.security) as daemon:
        with pytest.raises(FeedError, match=f"no daemon answers at {daemon.feed}.*({told})"):
            publish(GOOD, daemon.feed, timeout_s=0.7, keys=stranger(keys))
        with pytest.raises(FeedError, match=f"no daemon answers at {daemon.decisions}.*({told})"):
            Decisions(daemon.decisions, timeout_s=0.7, keys=stranger(keys))
        with Decisions(daemon.decisions, timeout_s=RECEIVE_S, keys=keys.listed) as decisions:
            assert publish(GOOD, daemon.feed, keys=keys.listed).counters["binned"] == 3
            expected = decided(GOOD, "good")
            received = [d for _, d in zip(expected, decisions, strict=False)]
    assert essence(received) == expected
    report = daemon.reports[0]
    # The client's open, its events and its end; of the stranger nothing.
    assert (report.messages, report.streams, report.refused, report.malformed) == (3, 1, 0, 0)
    failures = {"auth": report.door.auth_failures, "handshake": report.door.handshake_failures}
    assert failures.pop(counted) >= 2
    assert set(failures.values()) == {0}
    assert report.door.connected == 2
    assert f"{counted}_failure" in daemon.events_logged()
    assert '"address":"127.0.0.1' in daemon.log.getvalue()


def test_19_a_client_with_keys_is_told_that_the_daemon_has_none(keys: Keys) -> None:
    with (
        running_daemon() as daemon,
        pytest.raises(FeedError, match=r"it serves in clear|does it ask for keys at all"),
    ):
        publish(GOOD, daemon.feed, timeout_s=0.7, keys=keys.listed)
    assert daemon.reports[0].messages == 0
    assert daemon.reports[0].door.handshake_failures >= 1


@pytest.mark.parametrize(
    "greeting",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00\x02\x00h",
        b"\xff" + bytes(8) + b"\x7f\x01\x05\x00\x00",
        b"\xff" * 100,
        b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32),
        b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"PLAIN".ljust(20, b"\0") + bytes(32),
    ],
    ids=["HTTP", "ZMTP 1", "ZMTP 2", "noise", "NULL", "PLAIN"],
)
def test_19_what_speaks_another_protocol_is_cut_and_counted(keys: Keys, greeting: bytes) -> None:
    with running_daemon(security=keys.security) as daemon:
        port = int(daemon.feed.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), RECEIVE_S) as stranger:
            stranger.sendall(greeting)
            assert cut(stranger)
        assert publish(GOOD, daemon.feed, keys=keys.listed).counters["binned"] == 3
    assert daemon.reports[0].messages == 3
    assert daemon.reports[0].door.handshake_failures == 1


def cut(stranger: socket.socket) -> bool:
    """Read until the other side ends the connection."""
    try:
        while stranger.recv(4_096):
            pass
    except ConnectionResetError:
        pass
    return True


@contextmanager
def dealer(endpoint: str, keys: ClientKeys | None) -> Iterator["zmq.Socket[bytes]"]:
    context = zmq.Context()
    sock: zmq.Socket[bytes] = context.socket(zmq.DEALER)
    sock.set(zmq.LINGER, 0)
    sock.set(zmq.RCVTIMEO, int(RECEIVE_S * 1e3))
    handshakes = client_security(sock, keys)
    try:
        sock.connect(endpoint)
        yield sock
    finally:
        handshakes.close()
        sock.close()
        context.term()


def reply(sock: "zmq.Socket[bytes]") -> Reply:
    return decode_reply(sock.recv(), "the daemon")


def test_19_a_client_is_let_in_as_soon_as_it_is_listed(keys: Keys) -> None:
    with running_daemon(security=keys.security) as daemon:
        with pytest.raises(FeedError, match="does not list"):
            publish(GOOD, daemon.feed, timeout_s=0.7, keys=keys.unlisted)
        allow(keys.folder / "stranger.pub", keys.clients)
        assert publish(GOOD, daemon.feed, keys=keys.unlisted).counters["binned"] == 3
    assert daemon.reports[0].streams == 1
    assert "allow_list" in daemon.events_logged()


def test_19_a_client_that_is_taken_off_the_list_is_heard_no_more(keys: Keys) -> None:
    at = Cursor("a", GRID, 5)
    with (
        running_daemon(security=keys.security) as daemon,
        dealer(daemon.feed, keys.listed) as sock,
    ):
        sock.send_multipart(encode_message("open", no_events(GRID, 0), at))
        reply(sock)
        (keys.clients / "cam.pub").unlink()
        answered = True
        while answered:
            assert at.sequence < 1_000_000
            piece = events([at.sequence * 1_000])
            sock.send_multipart(encode_message("events", piece, at))
            # The keepalive of a second comes all the same; two of them without news are silence.
            answers = [reply(sock)]
            while not acknowledges(answers[-1], at.sequence) and len(answers) < 3:
                answers.append(reply(sock))
            answered = acknowledges(answers[-1], at.sequence)
            at = at.after(piece)
    report = daemon.reports[0]
    assert report.door.revoked == 1
    # All but the last were taken, and counted.
    assert report.counters.received == at.sequence - 1


def acknowledges(answer: Reply, sequence: int) -> bool:
    return isinstance(answer, Credit) and answer.acknowledged >= sequence


def test_19_nobody_slips_in_while_the_daemon_starts(keys: Keys, tmp_path: Path) -> None:
    """A client that waits for the endpoint is asked for its key as every other is."""
    feed = f"ipc://{tmp_path / 'feed'}"
    refused: list[str] = []

    def knock() -> None:
        try:
            with Sender(feed, 1.5, keys=keys.unlisted) as sender:
                sender.publish(GOOD)
        except FeedError as error:
            refused.append(str(error))

    knocking = threading.Thread(target=knock)
    knocking.start()
    with running_daemon(security=keys.security, feed=feed) as daemon:
        knocking.join(RECEIVE_S)
    assert len(refused) == 1
    assert "does not list this client's key" in refused[0]
    assert daemon.reports[0].messages == 0


@pytest.mark.parametrize(("key", "server"), [("cam.key", None), (None, "server.pub")])
def test_19_a_client_needs_both_keys(keys: Keys, key: str | None, server: str | None) -> None:
    own, other = (keys.folder / name if name else None for name in (key, server))
    with pytest.raises(SecurityError, match="without"):
        read_client_keys(own, other)
