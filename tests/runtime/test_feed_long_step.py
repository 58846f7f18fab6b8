"""A message that steps for long: the other senders, and a request to stop, are heard."""

from collections.abc import Iterator

from retempo.runtime.counters import Counters
from retempo.runtime.decision import Decision
from retempo.runtime.feed import Credit
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import encode_message
from tests.runtime.feed_bench import ME, Bench, opened
from tests.runtime.stand_in import GRID, events


def test_every_sender_hears_from_the_daemon_once_a_second_also_in_a_long_step() -> None:
    bench, at = opened()
    first = events([0])
    bench.server.receive(ME, encode_message("events", first, at))
    bench.take()

    def publish(decision: Decision) -> None:
        bench.now_us += 1e5

    bench.server._publish = publish
    silence = no_events(GRID, 45_000)
    bench.server.receive(ME, encode_message("events", silence, at.after(first)))
    assert bench.take() == [(ME, Credit(1, "a", 1, 0, 8))] * 4


class Ticking:
    """A pipeline that steps a hundred bins a message and decides nothing; each takes 0.1 s."""

    def __init__(self, bench: Bench) -> None:
        self.counters, self.stepped, self._bench = Counters(), 0, bench

    def feed(self, *_arguments: object) -> Iterator[None]:
        for _ in range(100):
            self._bench.now_us += 1e5
            self.stepped += 1
            yield None

    def finish(self, *_: object) -> Iterator[None]:
        return iter(())


def test_every_sender_hears_from_the_daemon_in_a_long_step_without_decisions() -> None:
    bench, at = opened()
    bench.server._streams["a"].pipeline = Ticking(bench)  # type: ignore[assignment]
    bench.server.receive(ME, encode_message("events", no_events(GRID, 10_000), at))
    assert len(bench.take()) >= 9


def test_a_stop_is_heeded_in_a_long_step_and_what_is_not_stepped_not_acknowledged() -> None:
    bench, at = opened()
    pipeline = Ticking(bench)
    bench.server._streams["a"].pipeline = pipeline  # type: ignore[assignment]
    bench.server._stopping = lambda: pipeline.stepped >= 5
    bench.server.receive(ME, encode_message("events", no_events(GRID, 10_000), at))
    assert pipeline.stepped == 5
    bench.server.acknowledge()
    assert all(r.acknowledged == -1 for _, r in bench.take() if isinstance(r, Credit))
