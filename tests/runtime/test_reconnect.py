"""A sender and its daemon that lose each other: killed, stopped, cut off, over real sockets."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retempo.runtime.errors import FeedError
from retempo.runtime.feed import Credit, Ended, Refusal
from retempo.runtime.publisher import Sender, publish
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import Clock, EventChunk
from retempo.sensors.geometry import Geometry
from retempo.sensors.wire import Cursor, Message
from tests.daemons import Daemon
from tests.runtime.feed_bench import control
from tests.runtime.stand_in import (
    DT_US,
    GRID,
    RECEIVE_S,
    Peer,
    Recorded,
    decided,
    essence,
    running_daemon,
    stand_in_process,
)
from tests.runtime.tcp_proxy import proxy
from tests.runtime.test_publisher import scripted_daemon

EACH = 3
Actions = Mapping[int, Callable[[], object]]


def bin_of(number: int) -> EventChunk:
    """Three events that are on, which fill one bin."""
    t_us = number * DT_US + np.array([100, 200, 300])
    address = np.zeros(EACH, np.uint16)
    on = np.ones(EACH, np.bool_)
    return EventChunk(t_us, (number + 1) * DT_US, x=address, y=address, on=on)


@dataclass
class Acting:
    """A recording of so many bins; before some of them the test does something."""

    bins: int
    actions: Actions = field(default_factory=dict)
    name: str = "a"
    geometry: Geometry = GRID

    def __iter__(self) -> Iterator[EventChunk]:
        for number in range(self.bins):
            self.actions.get(number, lambda: None)()
            yield bin_of(number)


class LiveActing(Acting):
    """The same, as it happens: whoever is not ready for it, misses it."""

    clock: Clock = "sensor"
    about = "made up"

    def stop(self) -> None: ...

    def close(self) -> None: ...


def until_final(decisions: Decisions) -> list[Any]:
    had = []
    for decision in decisions:
        had.append(decision)
        if decision.final:
            break
    return had


@dataclass
class Restarting:
    """A daemon process that can be killed and started anew at its endpoints."""

    stack: ExitStack
    running: Daemon = field(init=False)

    def __post_init__(self) -> None:
        self.running = self.stack.enter_context(stand_in_process())

    def kill(self) -> None:
        self.running.stop(signal.SIGKILL)

    def start(self) -> None:
        endpoints = self.running.feed, self.running.decisions
        self.running = self.stack.enter_context(stand_in_process(*endpoints))

    def restart(self) -> None:
        self.kill()
        self.start()


@pytest.fixture
def daemon() -> Iterator[Restarting]:
    with ExitStack() as stack:
        yield Restarting(stack)


@pytest.mark.parametrize("kind", [Acting, LiveActing])
def test_a_daemon_that_is_killed_goes_on_with_what_the_ring_holds(
    daemon: Restarting, kind: type[Acting]
) -> None:
    source = kind(400, {200: daemon.restart})
    with Decisions(daemon.running.decisions, timeout_s=RECEIVE_S) as decisions:
        report = publish(source, daemon.running.feed)
        had = until_final(decisions)
    before = [d for d in had if d.epoch == had[0].epoch]
    after = [d for d in had if d.epoch != had[0].epoch]
    assert [d.sequence for d in after] == list(range(len(after)))
    # No bin between what was decided before and what is after; none is filled twice.
    first = after[0].t_us // DT_US - 1
    assert first <= before[-1].t_us // DT_US
    assert {d.scores[0] for d in before + after[:-1]} == {float(EACH)}
    assert report.counters["received"] == report.counters["binned"] == EACH * (400 - first)
    assert (report.counters["lost"], report.lost, report.shed, report.forgotten) == (0,) * 4
    assert report.reopened >= 1
    log = daemon.running.stop()
    (opened,) = [line for line in log if line["event"] == "stream_opened"]
    assert opened["sequence"] > 0
    assert next(line for line in log if line["event"] == "totals")["failed"] == 0


def test_a_live_source_goes_on_while_the_daemon_is_away(daemon: Restarting) -> None:
    source = LiveActing(400, {100: daemon.kill, 300: daemon.start})
    report = publish(source, daemon.running.feed)
    assert report.events == 400 * EACH
    assert report.counters["received"] >= 300 * EACH
    assert (report.counters["lost"], report.shed) == (0, 0)


def test_a_daemon_that_stands_still_for_long_decides_each_bin_once(daemon: Restarting) -> None:
    def stop() -> None:
        daemon.running.process.send_signal(signal.SIGSTOP)
        threading.Timer(1.5, daemon.running.process.send_signal, [signal.SIGCONT]).start()

    source = Acting(400, {200: stop})
    with (
        Decisions(daemon.running.decisions, timeout_s=RECEIVE_S) as decisions,
        Sender(daemon.running.feed, timeout_s=0.3) as sender,
    ):
        report = sender.publish(source)
        had = until_final(decisions)
    assert report.reopened >= 1
    assert essence(had) == decided(Recorded("a", list(Acting(400))), "a")
    assert [d.sequence for d in had] == list(range(401))
    assert report.counters["received"] == 400 * EACH


def test_a_live_source_that_outruns_all_sheds_its_oldest_and_says_so(daemon: Restarting) -> None:
    def stop() -> None:
        daemon.running.process.send_signal(signal.SIGSTOP)

    def go_on() -> None:
        daemon.running.process.send_signal(signal.SIGCONT)

    source = LiveActing(2_000, {100: stop, 1_900: go_on})
    with Sender(daemon.running.feed, timeout_s=RECEIVE_S, ring_bytes=100_000) as sender:
        report = sender.publish(source)
    assert report.shed > 0
    assert report.lost == 0
    assert report.counters["lost"] == report.shed
    assert report.counters["received"] + report.shed == 2_000 * EACH
    assert report.events == report.counters["received"]


def test_a_sender_whose_patience_has_ended_can_send_another_stream(daemon: Restarting) -> None:
    with Sender(daemon.running.feed, patience_s=0.2) as sender:
        with pytest.raises(FeedError, match=r"and did not come back within 0\.2 s"):
            sender.publish(Acting(400, {200: daemon.kill}))
        daemon.start()
        assert sender.publish(Acting(10)).counters["received"] == 10 * EACH


def test_a_recording_waits_and_sheds_nothing_however_small_the_ring(daemon: Restarting) -> None:
    with Sender(daemon.running.feed, ring_bytes=1) as sender:
        report = sender.publish(Acting(100))
    assert (report.counters["received"], report.shed) == (100 * EACH, 0)


@pytest.mark.parametrize("cuts", [[700, 1_500, 5_000, 9_999, 300, 40, 20_000]])
def test_connections_cut_in_the_middle_of_messages_lose_nothing(cuts: list[int]) -> None:
    with (
        running_daemon() as daemon,
        proxy(daemon.feed, cuts) as feed,
        Decisions(daemon.decisions, timeout_s=RECEIVE_S) as decisions,
    ):
        report = publish(Acting(400), feed.endpoint)
        had = until_final(decisions)
        assert feed.connections == len(cuts) + 1
    assert essence(had) == decided(Recorded("a", list(Acting(400))), "a")
    assert [d.sequence for d in had] == list(range(401))
    assert len({d.epoch for d in had}) == 1
    assert report.counters["received"] == 400 * EACH
    assert (report.counters["lost"], daemon.reports[0].counters.lost) == (0, 0)
    assert report.reopened == len(cuts)
    assert daemon.reports[0].malformed == daemon.reports[0].missing == 0


def test_a_subscriber_whose_connection_is_cut_gets_each_decision_once() -> None:
    with (
        running_daemon() as daemon,
        proxy(daemon.decisions) as out,
        Decisions(out.endpoint, timeout_s=RECEIVE_S) as decisions,
    ):
        cuts = dict.fromkeys((50, 51, 120, 300, 399), out.cut_now)
        publish(Acting(400, cuts), daemon.feed)
        had = until_final(decisions)
        assert out.cut > 0
    assert [d.sequence for d in had] == list(range(401))
    assert decisions.missed == {"a": 0}
    assert essence(had) == decided(Recorded("a", list(Acting(400))), "a")


def test_a_stream_that_comes_and_goes_while_the_subscriber_is_cut_off_is_had_whole() -> None:
    with (
        running_daemon() as daemon,
        proxy(daemon.decisions) as out,
        Decisions(out.endpoint, ["a"], timeout_s=RECEIVE_S) as decisions,
    ):
        out.shut()
        for name in ("a", "ab"):
            publish(Acting(40, name=name), daemon.feed)
        out.open()
        had = until_final(decisions)
        assert (decisions.missed, decisions.receive(0.1)) == ({"a": 0}, None)
    assert [d.sequence for d in had] == list(range(41))
    assert essence(had) == decided(Recorded("a", list(Acting(40))), "a")


def test_a_consumer_that_keeps_the_last_id_goes_on_behind_it() -> None:
    with running_daemon() as daemon, Peer(daemon.feed) as peer:
        at, sequences = Cursor("a", GRID, 5), list[int]()
        with Decisions(daemon.decisions, timeout_s=RECEIVE_S) as decisions:
            publish(Acting(20), daemon.feed)
            for _ in range(5):
                sequences.append(next(iter(decisions)).sequence)
            last = decisions.last
        publish(Acting(3), daemon.feed)
        with Decisions(daemon.decisions, timeout_s=RECEIVE_S, after=last) as decisions:
            first = until_final(decisions)
            second = until_final(decisions)
            assert decisions.missed == {"a": 0}
        peer.send(control("open", at))
        peer.receive()
    assert sequences + [d.sequence for d in first] == list(range(21))
    assert [d.sequence for d in second] == list(range(4))
    assert first[0].epoch == last["a"][0] != second[0].epoch


def test_a_sender_that_is_killed_and_starts_again_is_a_new_run_and_nothing_crosses() -> None:
    script = (
        "import sys; from tests.runtime.test_reconnect import Acting, publish;"
        "publish(Acting(10**6), sys.argv[1], speed=1.0)"
    )
    with (
        running_daemon() as daemon,
        Decisions(daemon.decisions, timeout_s=RECEIVE_S) as decisions,
    ):
        command = [sys.executable, "-c", script, daemon.feed]
        with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:
            had = [next(iter(decisions)) for _ in range(20)]
            process.kill()
            process.wait(RECEIVE_S)
        report = publish(Acting(10), daemon.feed)
        had += until_final(decisions)
        after = until_final(decisions)
    assert had[-1].final
    assert len({d.epoch for d in had}) == 1
    assert had[0].epoch != after[0].epoch
    assert [d.sequence for d in after] == list(range(11))
    assert report.counters["received"] == 10 * EACH
    totals = daemon.reports[0].counters
    assert totals.received == totals.binned == had[-1].counters["received"] + 10 * EACH


def test_what_a_restarted_daemon_needs_and_is_forgotten_is_said() -> None:
    seen: list[Message] = []

    def forgetful(message: Message) -> list[Any]:
        """Acknowledges all, has nothing for good, and forgets all that it had at message 150."""
        seen.append(message)
        opens = sum(m.kind == "open" for m in seen)
        if message.kind == "open":
            return [Credit(1, "a", message.epoch, -1, 64, -1)]
        if message.kind == "end":
            return [Ended(1, "a", message.epoch, {})]
        if opens == 1 and message.sequence >= 150:
            return [Refusal(1, "a", message.epoch, "it was restarted", again=True)]
        return [Credit(1, "a", message.epoch, message.sequence, 64, -1)]

    with (
        scripted_daemon(forgetful) as (endpoint, _, _),
        Sender(endpoint, ring_bytes=50_000) as sender,
    ):
        report = sender.publish(Acting(300))
    again = next(k for k, m in enumerate(seen[1:], 1) if m.kind == "open")
    opened, resent = seen[again], seen[again + 1]
    assert (resent.kind, resent.sequence, resent.sent) == ("events", opened.sequence, opened.sent)
    assert report.forgotten == opened.sequence > 0
    assert [m.sequence for m in seen[again + 1 : -1]] == list(range(opened.sequence, 300))
