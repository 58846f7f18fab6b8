"""The publisher over real sockets, its pace by a fake clock."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import zmq

from retempo.runtime.errors import FeedError
from retempo.runtime.feed import Credit, Rejection, encode_reply
from retempo.runtime.publisher import Sender, publish
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry, Geometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Message, decode
from tests.runtime.stand_in import (
    GRID,
    RECEIVE_S,
    Recorded,
    decided,
    essence,
    events,
    running_daemon,
    stand_in_process,
)


def recording(name: str = "a", size: int = 3_000, span_us: int = 200_000) -> Recorded:
    rng = np.random.default_rng(1)
    t_us = np.sort(rng.integers(0, span_us, size))
    return Recorded(name, [events(part, seed=k) for k, part in enumerate(np.array_split(t_us, 4))])


@dataclass
class FakeTime:
    """A clock that only sleeping moves."""

    now_s: float = 50.0
    slept_s: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept_s.append(seconds)
        self.now_s += seconds


@contextmanager
def scripted_daemon(
    answer: Callable[[Message], list[Any]],
) -> Iterator[tuple[str, list[tuple[Message, float]], FakeTime]]:
    """A daemon that answers each message as the script says; yields what it received, and when."""
    context = zmq.Context()
    router, done = context.socket(zmq.ROUTER), context.socket(zmq.PAIR)
    router.set(zmq.LINGER, 0)
    done.bind("inproc://done")
    router.bind("tcp://127.0.0.1:*")
    received: list[tuple[Message, float]] = []
    time = FakeTime()

    def serve() -> None:
        with context.socket(zmq.PAIR) as stopped:
            stopped.connect("inproc://done")
            poller = zmq.Poller()
            poller.register(router, zmq.POLLIN)
            poller.register(stopped, zmq.POLLIN)
            while stopped not in dict(poller.poll(int(RECEIVE_S * 1e3))):
                owner, *frames = router.recv_multipart()
                message = decode(frames)
                received.append((message, time.now_s))
                for reply in answer(message):
                    router.send_multipart([owner, encode_reply(reply)])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield router.get_string(zmq.LAST_ENDPOINT), received, time
    finally:
        done.send(b"")
        thread.join(RECEIVE_S)
        router.close()
        done.close()
        context.term()


def credit(message: Message, acknowledged: int, window: int = 4) -> Credit:
    return Credit(1, message.stream, message.epoch, acknowledged, window)


@pytest.mark.parametrize("speed", [None, 4.0])
def test_what_is_published_is_decided_as_without_transport(speed: float | None) -> None:
    source = recording()
    with (
        running_daemon() as daemon,
        Decisions(daemon.decisions, ["a"], timeout_s=RECEIVE_S) as decisions,
    ):
        report = publish(source, daemon.feed, speed=speed)
        received = []
        for decision in decisions:
            received.append(decision)
            if decision.final:
                break
    assert essence(received) == decided(source, "a")
    assert decisions.missed == {"a": 0}
    assert (report.events, report.counters["received"], report.counters["binned"]) == (3_000,) * 3


def test_a_connection_serves_one_stream_after_the_other() -> None:
    with running_daemon() as daemon, Sender(daemon.feed) as sender:
        for k in range(20):
            report = sender.publish(recording(size=50), stream=f"stream {k}")
            assert report.counters["binned"] == 50
    assert daemon.reports[0].streams == 20
    assert daemon.reports[0].counters.binned == 1_000


def test_a_sender_stops_at_its_window_and_says_who_is_silent() -> None:
    def grudging(message: Message) -> list[Any]:
        return [credit(message, -1, 3)] if message.kind == "open" else []

    with (
        scripted_daemon(grudging) as (endpoint, received, _),
        pytest.raises(FeedError, match=r"went silent after 0 of the 3 messages of 'a'.*0.2 s"),
    ):
        publish(recording(), endpoint, timeout_s=0.3, patience_s=0.2)
    sent = ["open", "events", "events", "events"]
    assert [message.kind for message, _ in received[:4]] == sent
    assert max(message.sequence for message, _ in received) == 2


def test_unanswered_messages_never_exceed_the_window() -> None:
    unanswered: list[int] = []

    def hoarding(message: Message) -> list[Any]:
        if message.kind == "open":
            return [credit(message, -1, 3)]
        if message.kind == "end":
            return [Rejection(1, "enough")]
        unanswered.append(message.sequence)
        if len(unanswered) < 3:
            return []
        oldest = unanswered.pop(0)
        return [credit(message, oldest, 3)]

    with (
        scripted_daemon(hoarding) as (endpoint, received, _),
        pytest.raises(FeedError, match="dropped a message: enough"),
    ):
        publish(recording(), endpoint)
    # Had the sender run ahead, a message would have come with more than 3 unanswered.
    assert [message.sequence for message, _ in received[1:-1]] == list(range(len(received) - 2))
    assert len(received) > 6


def test_paced_messages_leave_on_time_without_drift() -> None:
    def generous(message: Message) -> list[Any]:
        return [credit(message, message.sequence - (message.kind == "open"), 64)]

    def ending(message: Message) -> list[Any]:
        return generous(message) if message.kind != "end" else [Rejection(1, "the end")]

    source = Recorded("a", [events([0, 900, 1_100, 30_000], 40_000)])
    with scripted_daemon(ending) as (endpoint, received, time):
        with pytest.raises(FeedError, match="the end"):
            publish(source, endpoint, speed=2.0, clock=time.clock, sleep=time.sleep)
        # 40 ms of the sensor at twice its pace, in slices of 1 ms of the host: silence included.
        assert time.now_s == pytest.approx(50.020)
        assert len(time.slept_s) == 20
    sent = [message.chunk for message, _ in received if message.kind == "events"]
    assert max(np.diff([chunk.t_end_us for chunk in sent])) <= 2_000
    assert sum(len(chunk) for chunk in sent) == 4


def test_a_sender_that_is_late_catches_up_without_sleeping() -> None:
    source = Recorded("a", [events([0, 5_000, 10_000])])
    time = FakeTime()
    clock = iter(np.linspace(50.0, 60.0, 1_000))
    with running_daemon() as daemon:
        publish(source, daemon.feed, speed=1.0, clock=lambda: float(next(clock)), sleep=time.sleep)
    assert time.slept_s == []


def test_nobody_there_is_said_in_time() -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as unused:
        unused.bind("tcp://127.0.0.1:*")
        endpoint = unused.get_string(zmq.LAST_ENDPOINT)
    with pytest.raises(FeedError, match=f"no daemon answers at {endpoint} within 0.2 s"):
        publish(recording(), endpoint, timeout_s=0.2)


def test_a_refusal_comes_with_its_reason() -> None:
    source = Recorded("ear", [no_events(ChannelGeometry(9), 5)], ChannelGeometry(9))
    with (
        running_daemon() as daemon,
        pytest.raises(FeedError, match=r"refuses the stream 'ear': .*expects 8x6x2, ear is 9 chan"),
    ):
        publish(source, daemon.feed)


def test_a_stream_that_fails_in_the_daemon_fails_in_the_publisher() -> None:
    with (
        running_daemon() as daemon,
        pytest.raises(FeedError, match=r"refuses the stream 'bad': ValueError: this stream is bad"),
    ):
        publish(recording("bad"), daemon.feed)
    assert daemon.reports[0].failed == 1


@dataclass
class Endless:
    """A source that waits for the test after its first event, and then never ends."""

    go_on: threading.Event
    name: str = "a"
    geometry: Geometry = GRID

    def __iter__(self) -> Iterator[EventChunk]:
        yield events([0])
        assert self.go_on.wait(RECEIVE_S)
        for k in itertools.count(1):
            yield events([k * 1_000])


def test_a_daemon_that_stops_ends_the_publisher() -> None:
    source = Endless(threading.Event())
    failures: list[str] = []

    def send(endpoint: str) -> None:
        try:
            publish(source, endpoint, timeout_s=RECEIVE_S, patience_s=0.2)
        except FeedError as error:
            failures.append(str(error))

    with running_daemon() as daemon:
        thread = threading.Thread(target=send, args=(daemon.feed,))
        thread.start()
        with Decisions(daemon.decisions, timeout_s=RECEIVE_S) as decisions:
            source.go_on.set()
            next(iter(decisions))
    thread.join(RECEIVE_S)
    assert not thread.is_alive()
    assert "the daemon is shutting down" in failures[0]


def test_a_daemon_that_dies_ends_the_publisher_in_time() -> None:
    source = Endless(threading.Event())
    source.go_on.set()
    failures: list[str] = []

    def send(endpoint: str) -> None:
        try:
            publish(source, endpoint, timeout_s=0.5, patience_s=0.5)
        except FeedError as error:
            failures.append(str(error))

    with (
        stand_in_process() as daemon,
        Decisions(daemon.decisions, timeout_s=RECEIVE_S) as decisions,
    ):
        thread = threading.Thread(target=send, args=(daemon.feed,))
        thread.start()
        next(iter(decisions))
        daemon.process.kill()
        thread.join(RECEIVE_S)
    assert not thread.is_alive()
    assert "went silent after" in failures[0]


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_an_impossible_speed_is_refused(speed: float) -> None:
    with pytest.raises(FeedError, match="the speed is a positive number, or max; got"):
        publish(recording(), "tcp://127.0.0.1:9", speed=speed)


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://127.0.0.1", "udp2://x", "\ud800"])
def test_a_malformed_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(FeedError, match=r"cannot connect to .*; write tcp://127\.0\.0\.1:7710"):
        publish(recording(), endpoint)


def test_a_name_that_no_stream_may_have_is_refused() -> None:
    with (
        running_daemon() as daemon,
        pytest.raises(FeedError, match="1 to 200 characters and no control characters"),
    ):
        publish(recording(), daemon.feed, stream="a\nb")


def test_a_source_without_events_ends_without_a_decision() -> None:
    with running_daemon() as daemon:
        report = publish(Recorded("a", [no_events(GRID, 9_000)]), daemon.feed)
    assert (report.events, report.counters["steps"]) == (0, 0)
