"""The daemon as a process and as a socket: signals, endpoints, many and foreign senders."""

import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from retempo.runtime.daemon import run_daemon
from retempo.runtime.errors import FeedError
from retempo.runtime.feed import MAX_MESSAGE_BYTES, Credit, Ended, Rejection
from retempo.runtime.publisher import publish
from retempo.runtime.subscriber import Decisions
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.runtime import foreign_sender
from tests.runtime.stand_in import (
    GRID,
    RECEIVE_S,
    Peer,
    Recorded,
    decided,
    deployment,
    essence,
    events,
    running_daemon,
    stand_in_process,
)


def open_message(at: Cursor) -> list[bytes | memoryview]:
    return encode_message("open", no_events(at.geometry, 0), at)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_open_streams_and_exits_with_0(number: signal.Signals) -> None:
    at = Cursor("a", GRID, 5)
    with stand_in_process() as daemon:
        with (
            Decisions(daemon.decisions, timeout_s=RECEIVE_S) as decisions,
            Peer(daemon.feed) as peer,
        ):
            peer.send(open_message(at))
            peer.send(encode_message("events", events([100, 1_200], 1_200), at))
            first = next(iter(decisions))
            daemon.process.send_signal(number)
            last = next(iter(decisions))
        assert (first.final, last.final) == (False, True)
        assert daemon.wait() == 0
    totals = daemon.log[-1]
    assert totals["event"] == "totals"
    counters = totals["counters"]
    assert counters["received"] == 2
    assert counters["received"] == sum(
        counters[k] for k in ("binned", "late", "invalid", "masked", "shed")
    )


def test_a_second_signal_ends_a_daemon_that_is_stuck() -> None:
    at = Cursor("stuck", GRID, 5)
    with (
        stand_in_process() as daemon,
        Decisions(daemon.decisions, timeout_s=RECEIVE_S) as decisions,
        Peer(daemon.feed) as peer,
    ):
        peer.send(open_message(at))
        peer.send(encode_message("events", events([1], 2_000), at))
        next(iter(decisions))
        process = daemon.process
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
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
        stand_in_process() as daemon,
        Decisions(daemon.decisions, ["foreign"], timeout_s=RECEIVE_S) as decisions,
    ):
        script = Path(foreign_sender.__file__)
        subprocess.run(
            [sys.executable, script, daemon.feed, str(messages), str(size)],
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
        running_daemon(grace_us=0) as daemon,
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


@pytest.mark.parametrize("history_bytes", [0, 2**26])
def test_a_slow_subscriber_never_blocks_and_has_later_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, history_bytes: int
) -> None:
    monkeypatch.setattr("retempo.runtime.decisions_out.QUEUED_DECISIONS", 2_000)
    at, steps = Cursor("a", GRID, 5), 40_000
    with (
        running_daemon(history_bytes=history_bytes) as daemon,
        Decisions(daemon.decisions, timeout_s=RECEIVE_S) as slow,
        Peer(daemon.feed) as peer,
    ):
        peer.send(open_message(at))
        for piece in (events([0]), no_events(GRID, steps * 1_000)):
            peer.send(encode_message("events", piece, at))
            at = at.after(piece)
        while cast(Credit, peer.receive()).acknowledged < 1:
            pass
        sequences: list[int] = []
        while (decision := slow.receive(timeout_s=0.5)) is not None:
            sequences.append(decision.sequence)
        peer.send(encode_message("events", no_events(GRID, (steps + 1) * 1_000), at))
        while sequences[-1] < steps:
            sequences.append(next(iter(slow)).sequence)
    assert sequences == sorted(set(sequences))
    assert len(sequences) + slow.missed["a"] == steps + 1
    assert (slow.missed["a"] == 0) == (history_bytes > 0)
    assert daemon.reports[0].undelivered > 0


def test_a_subscriber_without_a_daemon_is_told() -> None:
    with pytest.raises(FeedError, match=r"no daemon answers at tcp://127\.0\.0\.1:9 within 0.1 s"):
        Decisions("tcp://127.0.0.1:9", timeout_s=0.1)


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
