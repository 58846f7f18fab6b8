"""A stream that is saved and taken back goes on as if nothing had happened, bit for bit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.exporters.description import GridSpec
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import StepModel, parse_step
from retempo.runtime.deployment import Deployment
from retempo.runtime.engine import Engine
from retempo.runtime.errors import CheckpointError, EngineError
from retempo.runtime.guard import GuardRules
from retempo.runtime.layout import layout_of
from retempo.runtime.pipeline import Pipeline
from retempo.runtime.readouts import READOUTS
from retempo.runtime.saved_state import Saved
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import parse_filter
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.pieces import no_events
from tests.builders import cut, make_chunk, make_network, seeds
from tests.runtime.any_engine import EVERY_ENGINE, load_any

GEOMETRY = GridGeometry(6, 5)
ENGINES = [name for name in EVERY_ENGINE if name != "auto"]
FILTERS = [
    *("refractory=200us", "background=5ms", "hot-pixels=2ms", "rate-cap=20000"),
    *("flip=x", "rotate=180"),
]
_MODELS: dict[str, StepModel] = {}


def model_of(neuron: str, source_us: int) -> StepModel:
    key = f"{neuron} {source_us}"
    if key not in _MODELS:
        network = make_network(
            neuron, (9, 7), GridSpec(6, 5, 2), source_dt_us=source_us, stable=True
        )
        graph = build_step(network, resolve(network.spec, source_us, "lag"))
        _MODELS[key] = parse_step(graph.SerializeToString(), "m.onnx")
    return _MODELS[key]


def engine_at(name: str, neuron: str, source_us: int, dt_us: int, method: str) -> Engine:
    model = model_of(neuron, source_us)
    return load_any(model, model.resolution(dt_us, method), name)


Decided = list[tuple[int, int, str, list[float], int, dict[str, int], bool]]


def run(pipeline: Pipeline, chunks: Sequence[EventChunk]) -> Decided:
    decisions = [d for chunk in chunks for d in pipeline.feed(chunk, 0.0)]
    return [
        (d.sequence, d.t_us, d.label, d.scores, d.dt_us, d.counters, d.final)
        for d in decisions
        if d is not None
    ]


def ended(pipeline: Pipeline) -> Decided:
    return [
        (d.sequence, d.t_us, d.label, d.scores, d.dt_us, d.counters, d.final)
        for d in pipeline.finish(0.0)
        if d is not None
    ]


def again(deployment: Deployment, saved: Saved) -> Pipeline:
    pipeline = deployment.open("s", GEOMETRY)
    pipeline.load(saved)
    return pipeline


def same(one: Saved, other: Saved) -> None:
    assert list(one) == list(other)
    for name, value in one.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, other[name], err_msg=name)
        else:
            assert value == other[name], name


def check(
    deployment: Deployment, chunks: Sequence[EventChunk], at: int, changes: Sequence[int]
) -> None:
    """Run whole; saved at a chunk and looked at; and taken back there. All decide alike."""
    whole, saved_one = (deployment.open("s", GEOMETRY) for _ in range(2))
    resumed = None
    expected: Decided = []
    looked_at: Decided = []
    told: Decided = []
    for place, chunk in enumerate(chunks):
        for pipeline in [whole, saved_one, *([resumed] if resumed else [])]:
            if changes and place % 3 == 1:
                pipeline.change_step(changes[place % len(changes)])
        if place == at:
            saved = saved_one.save()
            resumed = again(deployment, saved)
            same(resumed.save(), saved)
        expected += run(whole, [chunk])
        part = run(saved_one, [chunk])
        looked_at += part
        told += part if resumed is None else run(resumed, [chunk])
    assert resumed is not None
    expected += ended(whole)
    assert looked_at + ended(saved_one) == expected
    assert told + ended(resumed) == expected
    assert (resumed.removed, resumed.counters) == (whole.removed, whole.counters)


@dataclass(frozen=True)
class Step:
    neuron: str
    source_us: int
    dt_us: int
    method: str


# A lag of many steps, one between two whole steps, several inner steps a bin, and none of it.
STEPS = [
    Step("radlif", 10_000, 1_000, "lag"),
    Step("radlif", 10_000, 4_000, "lag"),
    Step("radlif", 1_000, 4_000, "substep"),
    Step("rlif", 1_000, 1_000, "lag"),
    Step("lif", 1_000, 1_000, "integral"),
]


@pytest.mark.parametrize("name", ENGINES)
@settings(max_examples=25, deadline=None)
@given(
    seed=seeds,
    step=st.sampled_from(STEPS),
    cuts=st.lists(st.integers(0, 300), min_size=1, max_size=6),
    where=st.floats(0, 1),
    readout=st.sampled_from(sorted(READOUTS)),
    filters=st.lists(st.sampled_from(FILTERS), max_size=3),
    lateness_us=st.sampled_from([0, 300, 5_000]),
    every=st.sampled_from(["bin", "change", "end", 3_000]),
    span_us=st.sampled_from([20_000, 400_000]),
    coarsen=st.booleans(),
)
def test_saved_and_resumed_is_uninterrupted(
    name: str,
    seed: int,
    step: Step,
    cuts: list[int],
    where: float,
    readout: str,
    filters: list[str],
    lateness_us: int,
    every: object,
    span_us: int,
    coarsen: bool,
) -> None:
    engine = engine_at(name, step.neuron, step.source_us, step.dt_us, step.method)
    ladder = {step.dt_us: engine.resolution}
    if coarsen:
        doubled = 2 * step.dt_us
        ladder[doubled] = engine.model.resolution(
            doubled, None if step.method == "lag" else step.method
        )
    deployment = Deployment(
        engine,
        layout_of(engine.model.contract.network.input),
        filters=tuple(parse_filter(text) for text in filters),
        readout=readout,
        span_us=7_000,
        lateness_us=lateness_us,
        every=every,  # type: ignore[arg-type]
        ladder=ladder,
    )
    pieces = cut(shaken(make_chunk(300, 7, 5, span_us, seed), seed, lateness_us), cuts)
    at = min(int(where * len(pieces)), len(pieces) - 1)
    check(deployment, pieces, at, list(ladder)[::-1] if coarsen else [])


def shaken(chunk: EventChunk, seed: int, by_us: int) -> EventChunk:
    """Let events come up to so much too late."""
    if not by_us:
        return chunk
    order = np.argsort(
        chunk.t_us + np.random.default_rng(seed).integers(0, by_us, len(chunk)), kind="stable"
    )
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    return replace(
        chunk, t_us=chunk.t_us[order], x=chunk.x[order], y=chunk.y[order], on=chunk.on[order]
    )


@pytest.mark.parametrize("silent_ms", [100, 140, 600])
@pytest.mark.parametrize("name", ENGINES)
def test_to_save_a_stream_that_sleeps_does_not_wake_it(name: str, silent_ms: int) -> None:
    engine = engine_at(name, "radlif", 10_000, 1_000, "lag")
    deployment = Deployment(engine, layout_of(engine.model.contract.network.input))
    first = make_chunk(200, 6, 5, 20_000, 1)
    quiet = [no_events(GEOMETRY, t) for t in range(25_000, 20_000 + silent_ms * 1_000, 25_000)]
    last = make_chunk(200, 6, 5, 20_000, 2, start_us=30_000 + silent_ms * 1_000)
    check(deployment, [first, *quiet, last], len(quiet), [])
    check(deployment, [first, *quiet, last], 2, [])


def test_a_state_that_is_not_finite_is_neither_saved_nor_taken() -> None:
    engine = engine_at("onnx", "lif", 1_000, 1_000, "integral")
    deployment = Deployment(engine, layout_of(engine.model.contract.network.input))
    pipeline = deployment.open("s", GEOMETRY)
    run(pipeline, [make_chunk(100, 6, 5, 20_000)])
    saved = pipeline.save()
    state = pipeline.state
    state.variables[state.turn][3] = np.nan  # type: ignore[attr-defined]
    with pytest.raises(EngineError, match="left the finite numbers"):
        pipeline.save()
    for name, value in saved.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
            bad = value.copy()
            bad.reshape(-1)[0] = np.inf
            with pytest.raises(CheckpointError, match="NaN or infinity"):
                again(deployment, saved | {name: bad})


@pytest.mark.parametrize("name", ENGINES)
def test_what_does_not_fit_is_refused_by_name(name: str) -> None:
    engine = engine_at(name, "radlif", 10_000, 1_000, "lag")
    deployment = Deployment(
        engine,
        layout_of(engine.model.contract.network.input),
        filters=(parse_filter("refractory=1ms"), parse_filter("hot-pixels=5ms")),
        readout="window",
        lateness_us=2_000,
    )
    pipeline = deployment.open("s", GEOMETRY)
    run(pipeline, [make_chunk(200, 6, 5, 40_000)])
    saved = pipeline.save()
    same(again(deployment, saved).save(), saved)
    for key, value in saved.items():
        less = {k: v for k, v in saved.items() if k != key}
        wrongs: list[Any] = [None, 3] if isinstance(value, str) else [None, "text"]
        if isinstance(value, np.ndarray):
            wrongs += [value.astype(np.uint8), value[np.newaxis]]
            wrongs += [np.concatenate([value, value])] if value.size else []
        if key == "filters.1.begins_us":
            wrongs = ["text"]
        if key != "place.end_us" and not key.startswith("removed."):
            with pytest.raises(CheckpointError):
                again(deployment, less)
        for wrong in wrongs:
            with pytest.raises(CheckpointError):
                again(deployment, saved | {key: wrong})
    with pytest.raises(CheckpointError, match="nothing is known"):
        again(deployment, saved | {"strange.thing": 1})


@pytest.mark.parametrize("readout", sorted(READOUTS))
@pytest.mark.parametrize(("old_us", "new_us"), [(1_000, 4_000), (5_000, 2_000), (2_000, 2_000)])
def test_a_stream_that_came_to_another_step_is_resumed_as_it_went_on(
    readout: str, old_us: int, new_us: int
) -> None:
    """Its readout weighs bins, and its guard places jumps, by the step that it began with."""

    def served(dt_us: int) -> Deployment:
        engine = engine_at("sparse", "radlif", 10_000, dt_us, "lag")
        layout = layout_of(engine.model.contract.network.input)
        return Deployment(engine, layout, readout=readout, guard=GuardRules(confirm=2))

    chunks = [make_chunk(60, 6, 5, 9_000, k, start_us=9_000 * k) for k in range(12)]
    # Its clock is set back behind the checkpoint.
    chunks += [make_chunk(60, 6, 5, 9_300, 20 + k, start_us=-(10**7) + 9_300 * k) for k in range(4)]
    old, new = served(old_us), served(new_us)
    pipeline = old.open("s", GEOMETRY)
    for chunk in chunks[:4]:
        run(pipeline, [chunk])
    pipeline.succeed(new.successor(carry=True))
    for chunk in chunks[4:8]:
        run(pipeline, [chunk])
    assert not pipeline.handing_over
    saved = pipeline.save()
    resumed = again(new, saved)
    same(resumed.save(), saved)
    expected = run(pipeline, chunks[8:]) + ended(pipeline)
    assert run(resumed, chunks[8:]) + ended(resumed) == expected
    assert pipeline.counters.jumps == 1
