"""The daemon as a process and as a socket: signals, endpoints, many and foreign senders."""

import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec
import pytest

from retempo.runtime.config import load_config
from retempo.runtime.daemon import run_daemon
from retempo.runtime.errors import ConfigError, FeedError
from retempo.runtime.feed import MAX_MESSAGE_BYTES, Credit, Ended, Rejection
from retempo.runtime.publisher import publish
from retempo.runtime.serve_config import ServeConfig
from retempo.runtime.subscriber import Decisions
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.runtime import foreign_sender
from tests.runtime.stand_in import (
    GRID,
    RECEIVE_S,
    Peer,
    Recorded,
    daemon_process,
    decided,
    deployment,
    essence,
    events,
    running_daemon,
)


def open_message(at: Cursor) -> list[bytes | memoryview]:
    return encode_message("open", no_events(at.geometry, 0), at)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_open_streams_and_exits_with_0(number: signal.Signals) -> None:
    at = Cursor("a", GRID, 5)
    with daemon_process() as (process, ready):
        assert ready["ready"] is True
        with (
            Decisions(ready["decisions"], timeout_s=RECEIVE_S) as decisions,
            Peer(ready["feed"]) as peer,
        ):
            peer.send(open_message(at))
            peer.send(encode_message("events", events([100, 1_200], 1_200), at))
            first = next(iter(decisions))
            process.send_signal(number)
            last = next(iter(decisions))
        assert (first.final, last.final) == (False, True)
        _, log = process.communicate(timeout=RECEIVE_S)
    assert process.returncode == 0
    totals = msgspec.json.decode(log.splitlines()[-1])
    assert totals["event"] == "totals"
    counters = totals["counters"]
    assert counters["received"] == 2
    assert counters["received"] == sum(
        counters[k] for k in ("binned", "late", "invalid", "masked", "shed")
    )


def test_a_second_signal_ends_a_daemon_that_is_stuck() -> None:
    at = Cursor("stuck", GRID, 5)
    with (
        daemon_process() as (process, ready),
        Decisions(ready["decisions"], timeout_s=RECEIVE_S) as decisions,
        Peer(ready["feed"]) as peer,
    ):
        peer.send(open_message(at))
        peer.send(encode_message("events", events([1], 2_000), at))
        next(iter(decisions))
        signals = 0
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            signals += 1
            assert signals < 50
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
    assert signals > 1
    assert process.returncode == -signal.SIGTERM


def test_a_sender_that_imports_nothing_of_ours_is_served() -> None:
    messages, size = 5, 40
    sent = [
        (k * 1_000 + i * 900 // size, i % 8, i % 6, i % 2)
        for k in range(messages)
        for i in range(size)
    ]
    with (
        daemon_process() as (_, ready),
        Decisions(ready["decisions"], ["foreign"], timeout_s=RECEIVE_S) as decisions,
    ):
        script = Path(foreign_sender.__file__)
        subprocess.run(
            [sys.executable, script, ready["feed"], str(messages), str(size)],
            check=True,
            timeout=RECEIVE_S,
            cwd=script.parent,
            env={"PATH": ""},
        )
        received = [decision for _, decision in zip(range(messages), decisions, strict=False)]
    on = [sum(e[3] for e in sent if e[0] // 1_000 == k) for k in range(messages)]
    assert [d.scores for d in received] == [[float(n)] for n in on]
    assert received[-1].counters["received"] == len(sent)


def test_many_streams_share_a_connection() -> None:
    cursors = [Cursor(f"stream {k}", GRID, 1) for k in range(30)]
    with running_daemon() as daemon, Peer(daemon.feed) as peer:
        for at in cursors:
            peer.send(open_message(at))
        for _ in cursors:
            assert isinstance(peer.receive(), Credit)
        for step in range(3):
            for k, at in enumerate(cursors):
                piece = events([step * 1_000 + k])
                peer.send(encode_message("events", piece, at))
                cursors[k] = at.after(piece)
        for at in cursors:
            peer.send(encode_message("end", no_events(GRID, 3_000), at))
        ended = [peer.receive_until(Ended) for _ in cursors]
    assert {e.stream for e in ended if isinstance(e, Ended)} == {at.stream for at in cursors}
    assert all(e.counters["binned"] == 3 for e in ended if isinstance(e, Ended))


def test_malformed_messages_are_answered_and_counted_and_others_are_served() -> None:
    junk = [[b"junk"], [b"a", b"b"], [b"x"] * 50, [b""], [b"", b""]]
    with running_daemon() as daemon, Peer(daemon.feed) as peer:
        for frames in junk:
            peer.send(frames)
        for _ in junk:
            assert isinstance(peer.receive(), Rejection)
        assert publish(Recorded("a", [events([1, 2])]), daemon.feed).counters["binned"] == 2
    assert daemon.reports[0].malformed == len(junk)
    assert daemon.events_logged().count("malformed_message") == len(junk)


def test_a_message_over_the_limit_drops_its_sender_alone() -> None:
    at = Cursor("a", GRID, 5)
    with running_daemon() as daemon, Peer(daemon.feed) as peer, Peer(daemon.feed) as large:
        peer.send(open_message(at))
        peer.receive()
        large.send([b"", b"\0" * (MAX_MESSAGE_BYTES + 1)])
        peer.send(encode_message("events", events([1]), at))
        reply = peer.receive()
        assert isinstance(reply, Credit)
        assert reply.acknowledged == 0
    assert daemon.reports[0].malformed == 0


def test_a_vanished_sender_frees_its_name() -> None:
    with (
        running_daemon() as daemon,
        Decisions(daemon.decisions, timeout_s=RECEIVE_S) as decisions,
    ):
        with Peer(daemon.feed) as peer:
            peer.send(open_message(Cursor("a", GRID, 5)))
            peer.receive()
            peer.send(encode_message("events", events([1]), Cursor("a", GRID, 5)))
            peer.receive()
        assert next(iter(decisions)).final
        assert publish(Recorded("a", [events([1, 2])]), daemon.feed).counters["binned"] == 2


def test_two_publishers_of_one_name_at_once() -> None:
    with running_daemon() as daemon, Peer(daemon.feed) as peer:
        peer.send(open_message(Cursor("a", GRID, 5)))
        peer.receive()
        with pytest.raises(FeedError, match="another sender feeds a stream of this name"):
            publish(Recorded("a", [events([1])]), daemon.feed)


@pytest.mark.parametrize("form", ["json", "msgpack"])
def test_decisions_come_in_either_format(form: str) -> None:
    source = Recorded("cam1", [events([100, 5_000], 6_000)])
    other = Recorded("cam10", source.chunks)
    with (
        running_daemon(decisions_format=form) as daemon,
        Decisions(daemon.decisions, ["cam1"], timeout_s=RECEIVE_S) as decisions,
    ):
        publish(other, daemon.feed)
        publish(source, daemon.feed)
        received = [d for _, d in zip(range(7), decisions, strict=False)]
        assert decisions.receive(timeout_s=0) is None
    assert essence(received) == decided(source, "cam1")
    assert {d.stream for d in received} == {"cam1"}


def test_a_slow_subscriber_never_blocks_and_knows_what_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("retempo.runtime.decisions_out.QUEUED_DECISIONS", 1)
    at, steps = Cursor("a", GRID, 5), 40_000
    with (
        running_daemon() as daemon,
        Decisions(daemon.decisions, timeout_s=RECEIVE_S) as slow,
        Peer(daemon.feed) as peer,
    ):
        peer.send(open_message(at))
        pieces = [
            events([0]),
            no_events(GRID, steps * 1_000),
            no_events(GRID, (steps + 1) * 1_000),
        ]
        for piece in pieces[:2]:
            peer.send(encode_message("events", piece, at))
            at = at.after(piece)
        while cast(Credit, peer.receive()).acknowledged < 1:
            pass
        received = 0
        while slow.receive(timeout_s=0.2) is not None:
            received += 1
        peer.send(encode_message("events", pieces[2], at))
        last = next(iter(slow))
    assert last.sequence == steps
    assert 0 < received < steps
    assert slow.missed["a"] == steps - received


def test_a_subscriber_without_a_daemon_is_told() -> None:
    with pytest.raises(FeedError, match=r"no daemon answers at tcp://127\.0\.0\.1:9 within 0.1 s"):
        Decisions("tcp://127.0.0.1:9", timeout_s=0.1)


def test_a_port_in_use_is_said_with_the_key_that_sets_it() -> None:
    with running_daemon() as daemon:
        for feed, out, key in (
            (daemon.feed, "tcp://127.0.0.1:*", r"\[feed\] bind"),
            ("tcp://127.0.0.1:*", daemon.feed, r"\[decisions\] bind"),
        ):
            with pytest.raises(FeedError, match=f"{daemon.feed}: the port is in use; .* {key}"):
                run_daemon(deployment(), feed, out)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("nonsense", "is no endpoint; write tcp://"),
        ("smoke://here", "is no endpoint; write tcp://"),
        ("tcp://192.0.2.1:7710", "no address of this machine"),
        ("ipc:///" + "x" * 200, "cannot listen at|is no endpoint"),
    ],
)
def test_an_endpoint_that_cannot_be_bound_is_refused(endpoint: str, reason: str) -> None:
    with pytest.raises(FeedError, match=reason):
        run_daemon(deployment(), endpoint, "tcp://127.0.0.1:*")


def test_an_ipc_socket_left_by_a_killed_daemon_is_taken_over(tmp_path: Path) -> None:
    feed, out = (f"ipc://{tmp_path / name}" for name in ("feed", "out"))
    with daemon_process(feed, out) as (process, _):
        process.kill()
        process.wait(RECEIVE_S)
    assert (tmp_path / "feed").is_socket()
    with daemon_process(feed, out) as (_, ready):
        assert ready["feed"] == feed
        assert publish(Recorded("a", [events([1])]), feed).events == 1
        with pytest.raises(FeedError, match="another program listens there"):
            run_daemon(deployment(), feed, "tcp://127.0.0.1:*")


def test_a_file_in_the_place_of_an_ipc_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(FeedError, match="a file is in the way; move it"):
        run_daemon(deployment(), f"ipc://{path}", "tcp://127.0.0.1:*")
    assert path.read_text() == "mine"


def test_handlers_and_sockets_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    def announce(feed: str, _decisions: str) -> None:
        assert signal.getsignal(signal.SIGTERM) is not before[0]
        # A signal before the loop begins is not forgotten.
        signal.raise_signal(signal.SIGTERM)

    threads = threading.active_count()
    report = run_daemon(deployment(), "tcp://127.0.0.1:*", "tcp://127.0.0.1:*", announce=announce)
    assert report.messages == 0
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert threading.active_count() == threads


def test_a_configuration_is_read_and_its_limits_hold(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(
        'model = "m.onnx"\n[feed]\nbind = "ipc:///run/feed"\n[input]\nmask = [[3, 4]]\n'
    )
    config = load_config(path, ServeConfig)
    assert (config.feed.bind, config.feed.window) == ("ipc:///run/feed", 64)
    assert config.input.mask == [[3, 4]]
    assert config.decisions.bind.startswith("tcp://127.0.0.1:")
    path.write_text('model = "m.onnx"\n[feed]\nwindow = 0\n')
    with pytest.raises(ConfigError, match="window"):
        load_config(path, ServeConfig)
    path.write_text('model = "m.onnx"\n[fed]\n')
    with pytest.raises(ConfigError, match="did you mean feed"):
        load_config(path, ServeConfig)


def test_the_loopback_port_is_free_again_at_once() -> None:
    with running_daemon() as daemon:
        endpoint = daemon.feed
    port = int(endpoint.rsplit(":", 1)[1])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
