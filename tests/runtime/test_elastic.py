"""A stream that changes its time step under way, by hand and under load; and one that sheds."""

from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.exporters.description import GridSpec
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import StepModel, parse_step
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment, deploy
from retempo.runtime.engines import load_engine
from retempo.runtime.errors import InputError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import Reply
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.overload import Overload, Policy
from retempo.runtime.replies import Delivery
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.builders import cut, make_chunk, make_network, seeds

GEOMETRY = GridGeometry(6, 5)
STEPS_US = (1_000, 2_000, 4_000)
every_engine = pytest.mark.parametrize("engine", ["sparse", "onnx"])


def model(neuron: str = "radlif") -> StepModel:
    network = make_network(neuron, geometry=GridSpec(6, 5, 2))
    built = build_step(network, resolve(network.spec, 1_000, "lag"))
    return parse_step(built.SerializeToString(), "m.onnx")


def elastic(engine: str, neuron: str = "radlif") -> Deployment:
    step = model(neuron)
    ladder = {dt_us: step.resolution(dt_us, "lag") for dt_us in STEPS_US}
    return replace(deploy(load_engine(step, ladder[1_000], engine)), ladder=ladder)


@every_engine
@settings(max_examples=15)
@given(
    seed=seeds,
    cuts=st.lists(st.integers(1, 400), min_size=1, max_size=8),
    wanted=st.lists(st.sampled_from(STEPS_US), min_size=9, max_size=9),
)
def test_a_stream_that_changes_its_step_loses_nothing(
    engine: str, seed: int, cuts: list[int], wanted: list[int]
) -> None:
    chunk = make_chunk(400, 7, 5, 90_000, seed)
    pipeline = elastic(engine).open("s", GEOMETRY)
    told: list[Decision | None] = []
    for dt_us, piece in zip(wanted, cut(chunk, cuts), strict=False):
        pipeline.change_step(dt_us)
        told += pipeline.feed(piece, 0.0)
    decisions = [d for d in [*told, *pipeline.finish(0.0)] if d is not None]
    counters = pipeline.counters
    plain = elastic(engine).open("s", GEOMETRY)
    for _ in (*plain.feed(chunk, 0.0), *plain.finish(0.0)):
        pass
    assert (counters.received, counters.binned, counters.invalid, counters.late) == (
        plain.counters.received,
        plain.counters.binned,
        plain.counters.invalid,
        plain.counters.late,
    )
    steps = decisions[:-1]
    ends = [d.t_us for d in steps]
    assert all(d.t_us % d.dt_us == 0 for d in steps)
    assert [b - a for a, b in pairwise(ends)] == [d.dt_us for d in steps[1:]]
    lengths = [1_000, *(d.dt_us for d in steps)]
    assert counters.switches == sum(a != b for a, b in pairwise(lengths))


@every_engine
def test_a_silent_readout_does_not_care_at_what_step_it_is_read(engine: str) -> None:
    """The state carries over: after a change the scores go on from where they stood."""
    chunk = replace(make_chunk(300, 6, 5, 40_000, 3), t_end_us=120_000)
    by_step = {}
    for later_us in STEPS_US:
        pipeline = elastic(engine).open("s", GEOMETRY)
        told = list(pipeline.feed(replace(chunk, t_end_us=40_000), 0.0))
        pipeline.change_step(later_us)
        silence = no_events(GEOMETRY, 120_000)
        told += pipeline.feed(silence, 0.0)
        (last,) = (d for d in told if d is not None and d.t_us == 120_000)
        assert last.dt_us == later_us
        by_step[later_us] = np.array(last.scores)
    for later_us in STEPS_US[1:]:
        np.testing.assert_allclose(by_step[later_us], by_step[1_000], atol=0.03)


def test_a_step_that_is_not_on_the_ladder_is_refused() -> None:
    pipeline = elastic("sparse").open("s", GEOMETRY)
    with pytest.raises(InputError, match="steps at 1000, 2000, 4000 us, got 3000"):
        pipeline.change_step(3_000)


@every_engine
@pytest.mark.parametrize("reset", [False, True])
def test_what_is_shed_is_counted_and_leaves_a_gap(engine: str, reset: bool) -> None:
    deployment = elastic(engine)
    pieces = cut(make_chunk(400, 6, 5, 80_000, 5), [100, 200, 300])
    pipeline = deployment.open("s", GEOMETRY)
    told = [d for d in pipeline.feed(pieces[0], 0.0) if d is not None]
    for block in pipeline.shed(pieces[1:3], reset=reset):
        ((y, took_us),) = deployment.step([(pipeline, block)])
        told += pipeline.decide(block, y, took_us, 0.0)
    told += [d for d in pipeline.feed(pieces[3], 0.0) if d is not None]
    told += [d for d in pipeline.finish(0.0) if d is not None]
    counters = pipeline.counters
    assert counters.shed == len(pieces[1]) + len(pieces[2])
    assert counters.received == 400 == counters.binned + counters.shed + counters.late
    assert counters.gaps == 1
    numbers = [d.t_us // 1_000 for d in told[:-1]]
    begin, end = int(pieces[1].t_us[-1]) // 1_000, pieces[2].t_end_us // 1_000
    assert not any(begin < n - 1 < end for n in numbers)
    if reset:
        fresh = deployment.open("s", GEOMETRY)
        late = [e for e in fresh.feed(pieces[3], 0.0) if e is not None]
        after = [d for d in told[:-1] if d.t_us >= late[0].t_us]
        assert [d.scores for d in after[: len(late)]] == [d.scores for d in late]


class Loaded:
    """A server whose every step takes long on the clock by hand."""

    def __init__(self, policy: Policy, step_us: float, neuron: str = "radlif") -> None:
        self.now_us, self.decisions, self.log = 0.0, list[Decision](), StringIO()
        whole = elastic("sparse", neuron)
        slow = replace(whole, overload=Overload(policy), clock_us=lambda: self.now_us)
        inner = slow.engine

        class Slow:
            """An engine that moves the clock."""

            def __getattr__(self, name: str) -> object:
                return getattr(inner, name)

            def run_many(_, jobs):  # type: ignore[no-untyped-def]  # noqa: N805
                self.now_us += sum(len(bins) for _, bins in jobs) * self.step_us
                return inner.run_many(jobs)

        self.step_us = step_us
        self.server = FeedServer(
            replace(slow, engine=Slow()),  # type: ignore[arg-type]
            self.reply,
            self.decisions.append,
            EventLog(out=self.log, interval_s=0.0),
        )
        self.at = Cursor("cam", GEOMETRY, 1)
        self.server.receive(b"me", encode_message("open", no_events(GEOMETRY, 0), self.at))

    def reply(self, _owner: bytes, _reply: Reply) -> Delivery:
        return "sent"

    def play(self, chunks: Iterator[EventChunk]) -> None:
        """Hand each chunk in when it is due, and step in between."""
        for chunk in chunks:
            while self.now_us < chunk.t_end_us and self.server.rest_us() is not None:
                self.server.turn()
            self.now_us = max(self.now_us, float(chunk.t_end_us))
            self.server.receive(b"me", encode_message("events", chunk, self.at))
            self.at = self.at.after(chunk)
        while self.server.rest_us() is not None:
            self.server.turn()

    def logged(self, event: str) -> list[dict[str, object]]:
        lines = [msgspec.json.decode(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


def milliseconds(begin: int, end: int) -> Iterator[EventChunk]:
    for k in range(begin, end):
        yield replace(make_chunk(4, 6, 5, 1_000, k, start_us=k * 1_000), t_end_us=(k + 1) * 1_000)


def test_a_stream_that_falls_behind_coarsens_and_comes_back() -> None:
    loaded = Loaded("coarsen", 300.0)
    loaded.play(milliseconds(0, 200))
    assert {d.dt_us for d in loaded.decisions} == {1_000}
    loaded.step_us = 1_500.0
    loaded.play(milliseconds(200, 1_000))
    under_load = [d for d in loaded.decisions if d.t_us > 400_000]
    assert {d.dt_us for d in under_load} == {2_000}
    assert max(d.latency_us for d in under_load) < 20_000
    loaded.step_us = 300.0
    loaded.play(milliseconds(1_000, 3_000))
    assert loaded.decisions[-1].dt_us == 1_000
    counters = loaded.decisions[-1].counters
    assert counters["received"] == counters["binned"] == 4 * 3_000
    assert counters["switches"] == 2
    (climbed,), (back,) = loaded.logged("coarsened"), loaded.logged("refined")
    assert (climbed["dt_us"], back["dt_us"]) == (2_000, 1_000)


def test_a_stream_that_opens_under_load_begins_where_the_others_stand() -> None:
    loaded = Loaded("coarsen", 1_500.0)
    loaded.play(milliseconds(0, 200))
    second = Cursor("second", GEOMETRY, 2)
    loaded.server.receive(b"me", encode_message("open", no_events(GEOMETRY, 0), second))
    (first, *_) = milliseconds(0, 1)
    piece = replace(first, t_end_us=5_000)
    loaded.server.receive(b"me", encode_message("events", piece, second))
    while loaded.server.rest_us() is not None:
        loaded.server.turn()
    assert {d.dt_us for d in loaded.decisions if d.stream == "second"} == {2_000}


def test_a_stream_that_sheds_keeps_up_and_counts_what_it_left_out() -> None:
    for policy in ("shed_oldest", "reset"):
        loaded = Loaded(policy, 1_500.0)
        loaded.play(milliseconds(0, 500))
        counters = loaded.decisions[-1].counters
        assert counters["received"] == 2_000 == counters["binned"] + counters["shed"]
        assert 400 < counters["shed"] < 1_000
        assert max(d.latency_us for d in loaded.decisions) < 23_000
        assert loaded.logged("shed")


def test_a_stream_that_blocks_loses_nothing_but_time() -> None:
    loaded = Loaded("block", 1_500.0)
    loaded.play(milliseconds(0, 500))
    counters = loaded.decisions[-1].counters
    assert counters["received"] == counters["binned"] == 2_000
    assert {d.dt_us for d in loaded.decisions} == {1_000}
    assert max(d.latency_us for d in loaded.decisions) > 80_000
