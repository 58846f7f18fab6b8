"""Row 15: a sensor disconnects and returns, a sender restarts: a new epoch, and nothing crosses.

Each of three streams has its own number of events in every bin: one that reached another stream, or
was binned twice, would be seen.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from retempo.runtime.decision import Decision
from retempo.runtime.feed import Credit
from retempo.runtime.publisher import publish
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.runtime.stand_in import DT_US, GRID, RECEIVE_S, Peer, running_daemon
from tests.runtime.tcp_proxy import proxy

pytestmark = pytest.mark.fault(15)

BINS = 300


@dataclass
class Even:
    """A recording with `each` events, all on, in every bin."""

    name: str
    each: int
    bins: int = BINS
    geometry: Geometry = GRID

    def __iter__(self) -> Iterator[EventChunk]:
        address, on = np.zeros(self.each, np.uint16), np.ones(self.each, np.bool_)
        for number in range(self.bins):
            t_us = number * DT_US + np.arange(self.each)
            yield EventChunk(t_us, (number + 1) * DT_US, x=address, y=address, on=on)


def decided(decisions: Decisions, finals: int) -> dict[str, list[Decision]]:
    """All decisions up to so many final ones, by stream."""
    had: dict[str, list[Decision]] = {}
    for decision in decisions:
        had.setdefault(decision.stream, []).append(decision)
        finals -= decision.final
        if not finals:
            break
    return had


def half_sent(endpoint: str, source: Even) -> None:
    """A sender that dies in the middle of its stream."""
    with Peer(endpoint) as peer:
        at = Cursor(source.name, GRID, 99)
        peer.send(encode_message("open", no_events(GRID, 0), at))
        for number, chunk in enumerate(source):
            reply = peer.receive_until(Credit)
            assert isinstance(reply, Credit)
            assert reply.acknowledged == number - 1
            if number == BINS // 2:
                return
            peer.send(encode_message("events", chunk, at))
            at = at.after(chunk)


def test_streams_that_come_and_go_leave_each_other_alone() -> None:
    steady, cut, anew = Even("steady", 1), Even("cut", 2), Even("anew", 5)
    with (
        running_daemon() as daemon,
        proxy(daemon.feed, [900, 2_500, 60, 8_000]) as shaky,
        Decisions(daemon.decisions, timeout_s=RECEIVE_S) as decisions,
        ThreadPoolExecutor() as pool,
    ):
        reports = [
            pool.submit(publish, steady, daemon.feed, speed=1.0),
            pool.submit(publish, cut, shaky.endpoint, speed=1.0),
        ]
        half_sent(daemon.feed, anew)
        last = publish(anew, daemon.feed)
        had = decided(decisions, finals=4)
        counters = [report.result(RECEIVE_S).counters for report in reports]
    for source in (steady, cut):
        of_it = had[source.name]
        assert [d.sequence for d in of_it] == list(range(BINS + 1))
        assert {d.scores[0] for d in of_it[:-1]} == {float(source.each)}
        assert len({d.epoch for d in of_it}) == 1
    first, second = sorted({d.epoch for d in had["anew"]}, key=lambda epoch: epoch != 99)
    assert first == 99
    for epoch, bins in ((first, BINS // 2), (second, BINS)):
        of_it = [d for d in had["anew"] if d.epoch == epoch]
        assert [d.sequence for d in of_it] == list(range(bins + 1))
        assert {d.scores[0] for d in of_it[:-1]} == {5.0}
        assert of_it[-1].counters["received"] == bins * 5
    assert [c["received"] for c in counters] == [BINS, 2 * BINS]
    assert last.counters["received"] == 5 * BINS
    totals = daemon.reports[0].counters
    totals.check()
    assert totals.received == totals.binned == BINS * (1 + 2 + 5) + BINS // 2 * 5
    assert decisions.missed == {"steady": 0, "cut": 0, "anew": 0}
