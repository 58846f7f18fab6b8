"""A message that steps for long: the other senders, and a request to stop, are heard."""

from collections.abc import Iterator

from retempo.runtime.counters import Counters
from retempo.runtime.decision import Decision
from retempo.runtime.feed import Credit
from retempo.runtime.sparse_bins import Block, SparseBins
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.runtime.feed_bench import ME, Bench, control, opened
from tests.runtime.stand_in import GRID, NOTHING, events


def test_every_sender_hears_from_the_daemon_once_a_second_also_in_a_long_step() -> None:
    bench, at = opened()
    first = events([0])
    bench.receive(ME, encode_message("events", first, at))
    bench.server.acknowledge()
    bench.take()

    def publish(decision: Decision) -> None:
        bench.now_us += 1e5

    bench.server._rounds._publish = publish
    silence = no_events(GRID, 45_000)
    bench.receive(ME, encode_message("events", silence, at.after(first)))
    assert bench.take() == [(ME, Credit(1, "a", 1, 0, 8))] * 4


class Ticking:
    """A pipeline that steps a hundred blocks a message and decides nothing; each takes 0.1 s."""

    def __init__(self, bench: Bench) -> None:
        self.counters, self.stepped, self._bench = Counters(), 0, bench
        self.removed: dict[str, int] = {}

    def plain(self, *_arguments: object) -> None:
        """No message is."""

    def take(self, *_arguments: object) -> Iterator[Block]:
        for number in range(100):
            self._bench.now_us += 1e5
            self.stepped += 1
            yield Block(number, 1_000, SparseBins(NOTHING, NOTHING, NOTHING))

    def decide(self, *_arguments: object) -> list[Decision]:
        return []

    def close(self) -> Iterator[Block]:
        return iter(())

    def end(self, *_: object) -> None:
        return None


def test_every_sender_hears_from_the_daemon_in_a_long_step_without_decisions() -> None:
    bench, at = opened()
    bench.server._streams["a"].pipeline = Ticking(bench)  # type: ignore[assignment]
    bench.receive(ME, encode_message("events", no_events(GRID, 10_000), at))
    assert len(bench.take()) >= 9


def test_a_stop_is_heeded_in_a_long_step_and_what_is_not_stepped_not_acknowledged() -> None:
    bench, at = opened()
    pipeline = Ticking(bench)
    bench.server._streams["a"].pipeline = pipeline  # type: ignore[assignment]
    bench.server.receive(ME, encode_message("events", no_events(GRID, 10_000), at))
    for _ in range(5):
        bench.server.turn()
    assert pipeline.stepped == 5
    bench.server.acknowledge()
    bench.server.close()
    assert pipeline.stepped == 5
    assert all(r.acknowledged == -1 for _, r in bench.take() if isinstance(r, Credit))


def test_a_long_message_of_one_stream_holds_no_other_up() -> None:
    """Each round steps a block of every stream."""
    bench, at = opened()
    other = Cursor("b", GRID, 2)
    bench.receive(ME, control("open", other))
    bench.server._streams["a"].pipeline = Ticking(bench)  # type: ignore[assignment]
    bench.server.receive(ME, encode_message("events", no_events(GRID, 10_000), at))
    bench.server.receive(ME, encode_message("events", events([10], 3_000), other))
    for _ in range(3):
        bench.server.turn()
    assert [d.t_us for d in bench.decisions] == [1_000, 2_000, 3_000]
