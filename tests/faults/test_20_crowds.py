"""Row 20: messages over the limit, a thousand idle connections: dropped, and service goes on."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import zmq

from retempo.runtime.errors import FeedError
from retempo.runtime.feed import MAX_MESSAGE_BYTES, Credit
from retempo.runtime.publisher import publish
from retempo.runtime.security.monitors import Monitor
from retempo.runtime.security.settings import Security
from retempo.runtime.subscriber import Decisions
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.runtime.stand_in import (
    GRID,
    RECEIVE_S,
    Peer,
    Recorded,
    events,
    running_daemon,
    stand_in_process,
)

pytestmark = pytest.mark.fault(20)

IDLE = 1_000
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
ROUNDS = 300


@pytest.fixture
def many_files() -> Iterator[None]:
    """A limit of open files that this process and its daemon can hold a thousand sockets under."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * IDLE
    if 0 <= before[1] < wanted:
        pytest.skip(f"the hard limit of open files is {before[1]}, {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], wanted), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.usefixtures("many_files")
def test_20_a_thousand_idle_connections_are_cut_while_a_stream_is_decided_in_time() -> None:
    at = Cursor("good", GRID, 5)
    latencies_us: list[float] = []
    with stand_in_process() as daemon, ExitStack() as stack:
        port = int(daemon.feed.rsplit(":", 1)[1])
        decisions = stack.enter_context(Decisions(daemon.decisions, timeout_s=RECEIVE_S))
        peer = stack.enter_context(Peer(daemon.feed))
        peer.send(encode_message("open", no_events(GRID, 0), at))
        assert isinstance(peer.receive(), Credit)
        before_mb = resident_mb(daemon.process.pid)
        idle = []
        for number in range(IDLE):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), RECEIVE_S))
            # Some say nothing, some stop half way through the greeting, some behind it.
            sock.sendall((b"", GREETING[:20], GREETING)[number % 3])
            idle.append(sock)
        for step in range(ROUNDS):
            piece = events([step * 1_000 + 1], (step + 1) * 1_000)
            peer.send(encode_message("events", piece, at))
            at = at.after(piece)
            decision = next(iter(decisions))
            assert decision.sequence == step
            latencies_us.append(decision.latency_us)
        during_mb = resident_mb(daemon.process.pid)
        for sock in idle:
            assert cut(sock)
        # Who comes now finds room, and the stream is still open.
        newcomer = publish(Recorded("next", [events([1, 2])]), daemon.feed, timeout_s=RECEIVE_S)
        assert newcomer.counters["binned"] == 2
        peer.send(encode_message("end", no_events(GRID, ROUNDS * 1_000), at))
        door = daemon.stop()[-1]["door"]
    # In clear a peer asks to come in with its greeting: those that do fill the room for a while.
    assert door["handshake_failures"] + door["turned_away"] == IDLE
    assert door["turned_away"] <= IDLE // 3
    assert door["connected"] == 3
    assert sorted(latencies_us)[int(0.99 * ROUNDS)] < 100_000
    # A socket of libzmq with its buffers is some 20 KiB.
    assert during_mb - before_mb < 64


def cut(sock: socket.socket) -> bool:
    """Whether the other side ends the connection in time; what it said before is read past."""
    try:
        while sock.recv(4_096):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def test_20_more_peers_than_the_limit_wait_outside_until_one_leaves() -> None:
    with running_daemon(security=Security(connections=2)) as daemon, ExitStack() as stack:
        first, second = (stack.enter_context(Peer(daemon.feed)) for _ in range(2))
        for name, peer in (("a", first), ("b", second)):
            peer.send(encode_message("open", no_events(GRID, 0), Cursor(name, GRID, 5)))
            assert isinstance(peer.receive(), Credit)
        with pytest.raises(FeedError, match=r"as many .* connections as it takes"):
            publish(Recorded("c", [events([1])]), daemon.feed, timeout_s=3.0)
        # Decisions have a count of their own.
        with Decisions(daemon.decisions, timeout_s=RECEIVE_S):
            pass
        piece = events([1])
        second.send(encode_message("events", piece, Cursor("b", GRID, 5)))
        while True:
            answer = second.receive()
            assert isinstance(answer, Credit)
            if answer.acknowledged == 0:
                break
        first.socket.close()
        # libzmq tries again by itself, and once there is room it comes in.
        served = publish(Recorded("c", [events([1])]), daemon.feed, timeout_s=RECEIVE_S)
        assert served.counters["binned"] == 1
    door = daemon.reports[0].door
    assert door.turned_away >= 1
    assert door.auth_failures == 0
    assert "turned_away" in daemon.events_logged()


@pytest.mark.parametrize("frames", [[b"", bytes(MAX_MESSAGE_BYTES + 1)], [bytes(2**24)]])
def test_20_a_message_over_the_limit_costs_its_sender_the_connection(frames: list[bytes]) -> None:
    at = Cursor("a", GRID, 5)
    with running_daemon() as daemon, Peer(daemon.feed) as peer, Peer(daemon.feed) as large:
        peer.send(encode_message("open", no_events(GRID, 0), at))
        peer.receive()
        with closing(Monitor(large.socket, zmq.EVENT_DISCONNECTED)) as monitor:
            large.send(frames)
            assert monitor.socket.poll(int(RECEIVE_S * 1e3))
        peer.send(encode_message("events", events([1]), at))
        reply = peer.receive()
        assert isinstance(reply, Credit)
        assert reply.acknowledged == 0
    assert (daemon.reports[0].malformed, daemon.reports[0].messages) == (0, 2)


def test_20_a_client_cannot_take_over_the_stream_of_another() -> None:
    """The routing id is the client's to choose, but the first that has it keeps it."""
    at = Cursor("a", GRID, 5)
    context = zmq.Context()
    with running_daemon() as daemon, closing(context.socket(zmq.DEALER)) as owner:
        owner.set(zmq.ROUTING_ID, b"camera")
        owner.set(zmq.RCVTIMEO, int(RECEIVE_S * 1e3))
        owner.set(zmq.LINGER, 0)
        owner.connect(daemon.feed)
        owner.send_multipart(encode_message("open", no_events(GRID, 0), at))
        owner.recv()
        with closing(context.socket(zmq.DEALER)) as thief, Peer(daemon.feed) as other:
            thief.set(zmq.ROUTING_ID, b"camera")
            thief.set(zmq.LINGER, 0)
            with closing(Monitor(thief, zmq.EVENT_HANDSHAKE_SUCCEEDED)) as monitor:
                thief.connect(daemon.feed)
                assert monitor.socket.poll(int(RECEIVE_S * 1e3))
            for peer in (thief, other.socket):
                peer.send_multipart(encode_message("end", no_events(GRID, 0), at))
            # The other, whose id is its own, is answered: by then the thief's would have been, too.
            assert b"is fed by another sender" in other.socket.recv()
        owner.send_multipart(encode_message("events", events([1]), at))
        assert b"credit" in owner.recv()
    context.term()
    assert daemon.reports[0].refused == 1
    assert daemon.reports[0].counters.binned == 1


def test_20_the_socket_of_an_ipc_endpoint_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "feed"
    for access, mode in (("owner", 0o600), ("group", 0o660), ("anyone", 0o666)):
        security = Security(ipc=access)  # type: ignore[arg-type]
        with running_daemon(security=security, feed=f"ipc://{path}") as daemon:
            assert path.stat().st_mode & 0o777 == mode
            assert publish(Recorded("a", [events([1])]), daemon.feed).counters["binned"] == 1
