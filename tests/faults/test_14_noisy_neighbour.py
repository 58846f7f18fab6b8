"""Row 14: one bad or slow sensor among 64.

Expected: the others' p99 within 10 %.

The times are those of a clock by hand, on which the step of a bin takes 5 us and nothing else takes
time; `benchmarks.soak_operations` measures them. That a bad stream changes no other's decision is
shown by a real daemon.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest

from retempo.runtime.decision import Decision
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.publisher import publish
from retempo.runtime.snapshot import unaccounted
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.runtime.stand_in import GRID, RECEIVE_S, Peer, Recorded, essence, events
from tests.runtime.test_daemon_model import serving
from tests.runtime.watched import value, watched_daemon

pytestmark = pytest.mark.fault(14)

STREAMS, STEP_US, LAST_MS = 64, 5.0, 120
# What the noisy stream sends in a millisecond; None for no message.
Noise = Callable[[int], EventChunk | None]


def good(k: int) -> EventChunk:
    return events([k * 1_000 + 500], (k + 1) * 1_000, seed=k)


def outside(k: int) -> EventChunk:
    """A thousand events a millisecond, none of which the sensor could have seen."""
    times = np.sort(np.random.default_rng(k).integers(k * 1_000, (k + 1) * 1_000, 1_000))
    chunk = events(times, (k + 1) * 1_000)
    assert chunk.x is not None
    return replace(chunk, x=chunk.x + np.uint16(GRID.width))


def stalling(k: int) -> EventChunk | None:
    """Nothing for 60 ms, then all of it at once."""
    if (k + 1) % 60:
        return None
    times = np.arange((k - 59) * 1_000, (k + 1) * 1_000, 100)
    return events(times, (k + 1) * 1_000)


def silent(_k: int) -> EventChunk | None:
    return None


class Neighbours:
    """A server with 64 streams, each of which sends a message a millisecond; the last is noisy."""

    def __init__(self, noise: Noise, *, reopens: bool = False) -> None:
        self.now_us, self.decisions = 0.0, list[Decision]()
        whole = serving(0)
        inner = whole.engine

        class Slow:
            """An engine that moves the clock."""

            def __getattr__(self, name: str) -> object:
                return getattr(inner, name)

            def run_many(_, jobs):  # type: ignore[no-untyped-def]  # noqa: N805
                self.now_us += sum(len(bins) for _, bins in jobs) * STEP_US
                return inner.run_many(jobs)

        self.server = FeedServer(
            replace(whole, engine=Slow(), clock_us=lambda: self.now_us),  # type: ignore[arg-type]
            lambda _owner, _reply: "sent",
            self.decisions.append,
            EventLog(out=StringIO()),
        )
        self.at = {f"s{k}": Cursor(f"s{k}", GRID, 1) for k in range(STREAMS)}
        for at in self.at.values():
            self.tell(encode_message("open", no_events(GRID, 0), at))
        self.noisy = f"s{STREAMS // 2}"
        for k in range(LAST_MS):
            self.now_us = max(self.now_us, (k + 1) * 1e3)
            for name, at in self.at.items():
                chunk = noise(k) if name == self.noisy else good(k)
                if chunk is not None:
                    self.tell(encode_message("events", chunk, at))
                    self.at[name] = at.after(chunk)
            if reopens:
                self.tell([b"junk", b"more of it"])
                self.tell(encode_message("open", no_events(GRID, 0), Cursor(self.noisy, GRID, k)))
                self.at[self.noisy] = Cursor(self.noisy, GRID, k)
            while self.server.rest_us() is not None and self.now_us < (k + 2) * 1e3:
                self.server.turn()

    def tell(self, frames: object) -> None:
        self.server.receive(b"me", frames)  # type: ignore[arg-type]

    def p99_us(self) -> float:
        """Of all streams but the noisy one, from the instant at which its bin was over."""
        others = [d.latency_us for d in self.decisions if d.stream != self.noisy]
        assert len(others) == (STREAMS - 1) * LAST_MS
        return float(np.percentile(others, 99))


@pytest.fixture(scope="module")
def quiet_p99_us() -> float:
    """All 64 are good."""
    return Neighbours(good).p99_us()


@pytest.mark.parametrize("noise", [outside, stalling, silent])
def test_the_others_wait_no_longer_for_a_bad_or_slow_sensor(
    noise: Noise, quiet_p99_us: float
) -> None:
    neighbours = Neighbours(noise)
    assert neighbours.p99_us() <= 1.1 * quiet_p99_us
    noisy = next(s for s in neighbours.server.snapshot().streams if s.name == neighbours.noisy)
    expected = {outside: (LAST_MS * 1_000, 0), stalling: (0, LAST_MS * 10), silent: (0, 0)}
    assert (noisy.counters.invalid, noisy.counters.binned) == expected[noise]
    assert unaccounted(noisy.counters) == 0


def test_the_others_wait_no_longer_for_a_sensor_that_starts_anew_all_the_time(
    quiet_p99_us: float,
) -> None:
    neighbours = Neighbours(good, reopens=True)
    assert neighbours.p99_us() <= 1.1 * quiet_p99_us
    assert neighbours.server.report.malformed == LAST_MS


def test_a_stream_that_fails_again_and_again_changes_no_decision_of_another() -> None:
    """Over real sockets, beside junk; its failures are counted, its neighbour's events all kept."""
    source = Recorded("good", [events(np.arange(k * 500, (k + 1) * 500, 7)) for k in range(400)])
    with (
        watched_daemon() as watched,
        Decisions(watched.daemon.decisions, ["good"], timeout_s=RECEIVE_S) as decisions,
        Peer(watched.daemon.feed) as bad,
        ThreadPoolExecutor(1) as pool,
    ):
        alone = publish(source, watched.daemon.feed)
        before = until_final(decisions)
        report = pool.submit(publish, source, watched.daemon.feed)
        failures = 0
        while not report.done() or failures < 20:
            at = Cursor("bad", GRID, failures)
            bad.send(encode_message("open", no_events(GRID, 0), at))
            bad.send(encode_message("events", events([1]), at))
            bad.send([b"junk"])
            for _ in range(3):
                bad.receive()
            failures += 1
        after = until_final(decisions)
        values = watched.scrape()
    assert essence(after) == essence(before)
    assert report.result().counters == alone.counters
    assert decisions.missed == {"good": 0}
    assert value(values, "retempo_streams_failed_total") == failures
    assert value(values, "retempo_malformed_messages_total") == failures
    assert value(values, "retempo_unaccounted_events") == 0


def until_final(decisions: Decisions) -> list[Decision]:
    received: list[Decision] = []
    for decision in decisions:
        received.append(decision)
        if decision.final:
            break
    return received
