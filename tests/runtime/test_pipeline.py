"""The pipeline of a stream: events to decisions, one step a bin, the same however it is fed."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.exporters.description import GridSpec
from retempo.exporters.network import Network
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.bulk import decide_all, sparse_bins
from retempo.runtime.deciding import Every
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment, deploy
from retempo.runtime.engine import Engine
from retempo.runtime.engines import load_engine
from retempo.runtime.errors import CounterError, EngineError, InputError
from retempo.runtime.layout import layout_of
from retempo.runtime.replay import replay
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry
from tests.builders import cut, make_chunk, make_network, seeds

GEOMETRY = GridGeometry(6, 5)


class Clock:
    """A clock that moves 7 us at each look."""

    def __init__(self) -> None:
        self.now_us = 0.0

    def __call__(self) -> float:
        self.now_us += 7.0
        return self.now_us


@pytest.fixture(scope="module", params=["onnx", "sparse"])
def engine(request: pytest.FixtureRequest) -> Engine:
    network = make_network(geometry=GridSpec(6, 5, 2))
    model = build_step(network, resolve(network.spec, 1_000, "lag"))
    return load_engine(parse_step(model.SerializeToString(), "m.onnx"), name=request.param)


def deployed(engine: Engine, every: Every = "bin") -> Deployment:
    return Deployment(engine, layout_of(engine.model.contract.network.input), every=every)


def decide(deployment: Deployment, chunks: Iterable[EventChunk]) -> list[Decision]:
    pipeline = deployment.open("s", GEOMETRY)
    told = [d for chunk in chunks for d in pipeline.feed(chunk, 0.0)]
    return [d for d in [*told, *pipeline.finish(0.0)] if d is not None]


@settings(max_examples=20)
@given(seed=seeds, cuts=st.lists(st.integers(0, 300), max_size=6))
def test_decisions_do_not_depend_on_chunks(engine: Engine, seed: int, cuts: list[int]) -> None:
    chunk = make_chunk(300, 7, 5, 50_000, seed)
    whole = decide(deployed(engine), [chunk])
    pieces = decide(deployed(engine), cut(chunk, cuts))
    assert [(d.t_us, d.label, d.scores) for d in whole] == [
        (d.t_us, d.label, d.scores) for d in pieces
    ]


def test_a_decision_a_bin_and_a_final_one(engine: Engine) -> None:
    chunk = make_chunk(300, 6, 5, 20_000, start_us=3_000)
    decisions = decide(deployed(engine), [chunk])
    bins = range(int(chunk.t_us[0]) // 1_000, int(chunk.t_us[-1]) // 1_000 + 1)
    assert [d.t_us for d in decisions[:-1]] == [(k + 1) * 1_000 for k in bins]
    assert [d.final for d in decisions] == [False] * len(bins) + [True]
    assert [d.sequence for d in decisions] == list(range(len(decisions)))
    assert decisions[-1].counters["steps"] == len(bins)
    assert decisions[-1].counters["received"] == decisions[-1].counters["binned"] == 300
    assert all(abs(sum(d.scores) - 1.0) < 1e-5 for d in decisions)


def test_changes_alone_tell_as_much_as_every_bin(engine: Engine) -> None:
    chunk = make_chunk(900, 6, 5, 60_000)
    every = [d for d in decide(deployed(engine), [chunk]) if not d.final]
    changes = [d for d in decide(deployed(engine, "change"), [chunk]) if not d.final]
    expected = [d for k, d in enumerate(every) if k == 0 or d.label != every[k - 1].label]
    assert [(d.t_us, d.label) for d in changes] == [(d.t_us, d.label) for d in expected]
    assert len(decide(deployed(engine, "end"), [chunk])) == 1


@pytest.mark.parametrize("every_us", [500, 1_000, 7_000, 20_000, 1_000_000])
def test_decisions_at_a_pace_are_those_of_their_bins(engine: Engine, every_us: int) -> None:
    chunk = make_chunk(900, 6, 5, 60_000, start_us=3_200)
    every = [d for d in decide(deployed(engine), [chunk]) if not d.final]
    paced = [d for d in decide(deployed(engine, every_us), [chunk]) if not d.final]
    due = [d for d in every if any(t % every_us == 0 for t in range(d.t_us - 999, d.t_us + 1))]
    assert [(d.t_us, d.scores) for d in paced] == [(d.t_us, d.scores) for d in due]
    assert [d.sequence for d in paced] == list(range(len(due)))


def test_times_are_those_of_the_given_clock(engine: Engine) -> None:
    clock = Clock()
    deployment = Deployment(engine, layout_of(engine.model.contract.network.input), clock_us=clock)
    pipeline = deployment.open("s", GEOMETRY)
    arrived_us = clock.now_us
    first, *_ = pipeline.feed(make_chunk(100, 6, 5, 5_000), arrived_us)
    assert first is not None
    assert first.step_us == 7.0 / first.counters["steps"]  # bins that close together share it
    assert first.latency_us == 21.0  # before the step, after it, at the decision


def test_a_stream_without_events_ends_without_a_decision(engine: Engine) -> None:
    assert decide(deployed(engine), [make_chunk(0, 6, 5, 1)]) == []


def test_a_stream_of_another_sensor_is_refused(engine: Engine) -> None:
    with pytest.raises(InputError, match=r"m\.onnx expects 6x5x2 inputs, cam is 7x5x2"):
        deployed(engine).open("cam", GridGeometry(7, 5))


def test_every_step_is_told_also_without_a_decision(engine: Engine) -> None:
    """Whoever runs a long silence looks up once a block."""
    pipeline = deployed(engine, "end").open("s", GEOMETRY)
    chunk = make_chunk(1, 6, 5, 1)
    told = list(pipeline.feed(replace(chunk, t_end_us=500_000), 0.0))
    assert told == [None] * -(-500 // 64)
    assert pipeline.counters.steps == 500


def test_a_network_that_leaves_the_finite_numbers_is_no_decision(engine: Engine) -> None:
    network = make_network(geometry=GridSpec(6, 5, 2))
    wild = network.spec.layers[0].parameters | {"a": [1e30] * 16}
    layers = [msgspec.structs.replace(network.spec.layers[0], parameters=wild)]
    spec = msgspec.structs.replace(network.spec, layers=layers + network.spec.layers[1:])
    model = build_step(Network(spec, network.weights), resolve(spec, 10_000, "none"))
    unstable = load_engine(parse_step(model.SerializeToString(), "m.onnx"), name=engine.name)
    with pytest.raises(
        EngineError, match=r"s: the network left the finite numbers within \d+ steps"
    ):
        decide(deployed(unstable), [make_chunk(900, 6, 5, 900_000)])


def test_warming_up_leaves_no_trace(engine: Engine) -> None:
    chunk = make_chunk(100, 6, 5, 20_000)
    before = decide(deployed(engine), [chunk])
    deployment = deployed(engine)
    deployment.warm_up()
    after = decide(deployment, [chunk])
    assert [d.scores for d in after] == [d.scores for d in before]
    assert after[-1].counters == before[-1].counters


def test_a_broken_sum_is_said_aloud(engine: Engine) -> None:
    pipeline = deployed(engine).open("s", GEOMETRY)
    list(pipeline.feed(make_chunk(50, 6, 5, 5_000), 0.0))
    pipeline.counters.received += 1
    with pytest.raises(CounterError, match="51 events received but 50 accounted for"):
        list(pipeline.finish(0.0))


class Recorded:
    """A source of one chunk."""

    name = "recorded"
    geometry = GEOMETRY

    def __init__(self, chunk: EventChunk) -> None:
        self._chunk = chunk

    def __iter__(self) -> Iterator[EventChunk]:
        return iter([self._chunk])


@settings(max_examples=20)
@given(seeds)
def test_bulk_replay_decides_as_replay_does(engine: Engine, seed: int) -> None:
    """With a batch of one, bit for bit."""
    chunks = [make_chunk(200, 6, 5, 40_000, seed + k) for k in range(3)]
    deployment = deploy(engine, every="end")
    alone = [replay(Recorded(chunk), deployment) for chunk in chunks]
    layout = layout_of(engine.model.contract.network.input)
    decided = decide_all(engine, [sparse_bins(chunk, layout, 1_000) for chunk in chunks])
    assert decided.steps == sum(result.steps for result in alone)
    for result, scores in zip(alone, decided.scores, strict=True):
        assert result.scores == scores.tolist()


def test_a_replay_reports_steps_counts_and_times(engine: Engine) -> None:
    chunk = make_chunk(200, 7, 5, 40_000)
    result = replay(Recorded(chunk), deploy(engine, every="end"))
    assert result.method == "lag"
    assert result.dt_us == 1_000
    assert result.steps == result.counters["steps"] > 30
    assert result.counters["invalid"] > 0
    assert result.counters["binned"] + result.counters["invalid"] == 200
    assert 0.0 < result.step_p50_us <= result.step_p99_us
