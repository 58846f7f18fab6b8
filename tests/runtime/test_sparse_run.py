"""Runs of bins and long silence in the sparse engine, against its own plain steps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from retempo.runtime.engine import Engine
from retempo.runtime.engines.sparse.arena import A00, C1, FIRST, FIXED, KIND, RESTFUL, SECOND, SLEPT
from retempo.runtime.engines.sparse.engine import SparseEngine, SparseState
from retempo.runtime.engines.sparse.program import coefficients_of
from retempo.runtime.engines.sparse.silence import (
    UNKNOWN,
    highest,
    highest_numpy,
    plan_of,
)
from retempo.runtime.errors import EngineError
from retempo.runtime.sparse_bins import SparseBins, without_zeros
from tests.builders import LINEAR, make_network, neuron_names, seeds
from tests.conv_builders import make_conv_network
from tests.runtime.test_engines import engine_at

CASES = [(10_000, "none"), (1_000, "lag"), (3_000, "lag"), (25_000, "substep")]


def sleepless(engine: Engine) -> SparseState:
    """A state that steps through silence as through everything else."""
    assert isinstance(engine, SparseEngine)
    state = engine.new_state()
    state.memory.table[RESTFUL] = 0
    return state


def draw_bins(size: int, bins: int, seed: int, silence: int = 0) -> SparseBins:
    """Bins with a silence in their middle."""
    rng = np.random.default_rng(seed)
    rows = rng.poisson(0.1, (bins, size)).astype(np.float32)
    quiet = np.zeros((silence, size), np.float32)
    return without_zeros(np.concatenate([rows[: bins // 2], quiet, rows[bins // 2 :]]))


def part(bins: SparseBins, begin: int, end: int) -> SparseBins:
    first, last = bins.starts[begin], bins.starts[end]
    starts = bins.starts[begin : end + 1] - first
    return SparseBins(starts, bins.inputs[first:last], bins.values[first:last])


@settings(max_examples=20)
@given(neuron_names, seeds, st.sampled_from(CASES[1:3]), st.lists(st.integers(0, 400), max_size=4))
def test_a_run_is_its_steps_however_it_is_cut(
    neuron: str, seed: int, case: tuple[int, str], cuts: list[int]
) -> None:
    """Bit for bit, sleep included; `spikes` are those of the whole run."""
    network = make_network(neuron, seed=seed, stable=True)
    engine = engine_at(network, *case, name="sparse")
    bins = draw_bins(network.spec.input.size, 60, seed, silence=340)
    stepped, run = engine.new_state(), engine.new_state()
    y, fired = [], 0.0
    rows = np.zeros((len(bins), network.spec.input.size), np.float32)
    rows[np.repeat(np.arange(len(bins)), np.diff(bins.starts)), bins.inputs] = bins.values
    for row in rows:
        stepped.x[0] = row
        y.append(engine.step(stepped)[0].copy())
        fired += sum(float(each.sum()) for each in engine.spikes(stepped).values())
    edges = [0, *sorted(cuts), len(bins)]
    got, counted = [], 0.0
    for begin, end in pairwise(edges):
        got.append(engine.run(run, part(bins, begin, end)).copy())
        counted += sum(float(each.sum()) for each in engine.spikes(run).values())
    np.testing.assert_array_equal(np.concatenate(got), np.array(y))
    assert counted == fired
    a, b = engine.save_state(stepped), engine.save_state(run)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@settings(max_examples=25)
@given(st.sampled_from(LINEAR), seeds, st.sampled_from(CASES))
def test_silence_slept_through_is_silence_stepped(
    neuron: str, seed: int, case: tuple[int, str]
) -> None:
    """10 s of it: values and scores within 1e-4, and no spike is missed."""
    network = make_network(neuron, seed=seed, stable=True)
    engine = engine_at(network, *case, name="sparse")
    silence = 10_000_000 // case[0]
    bins = part(draw_bins(network.spec.input.size, 40, seed, silence), 0, 20 + silence)
    asleep, awake = engine.new_state(), sleepless(engine)
    y, expected = engine.run(asleep, bins), engine.run(awake, bins)
    np.testing.assert_allclose(y, expected, atol=1e-4)
    for name, fired in engine.spikes(awake).items():
        np.testing.assert_array_equal(engine.spikes(asleep)[name], fired)
    a, b = engine.save_state(asleep), engine.save_state(awake)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=1e-4, err_msg=name)


def test_a_network_without_drive_does_sleep_and_convolutions_too() -> None:
    for network in (make_network("radlif", (128,), seed=3), make_conv_network()):
        engine = engine_at(network, 1_000, name="sparse")
        state = engine.new_state()
        assert isinstance(state, SparseState)
        engine.run(state, SparseBins(np.zeros(3_001, np.int64), *_nothing()))
        slept = int(state.memory.rest[0, SLEPT])
        fires = sum(float(each.sum()) for each in engine.spikes(state).values())
        assert slept > 2_000 or fires > 0.0


def _nothing() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(0, np.int32), np.zeros(0, np.float32)


@settings(max_examples=40)
@given(
    st.sampled_from(LINEAR),
    seeds,
    st.sampled_from([10_000, 5_000, 2_000, 1_000]),
    st.floats(-3.0, 3.0),
    st.floats(-3.0, 3.0),
)
def test_no_membrane_rises_above_its_bound(
    neuron: str, seed: int, dt_us: int, u: float, w: float
) -> None:
    network = make_network(neuron, (6,), seed=seed)
    engine = engine_at(network, dt_us, name="sparse")
    assert isinstance(engine, SparseEngine)
    plan = plan_of(engine.program, coefficients_of(engine.program, engine.resolution))
    known = np.flatnonzero(plan.bounds[KIND] != UNKNOWN)
    assume(len(known))
    for j in known:
        one, two = plan.powers[0, :, j], plan.powers[1, :, j]
        bound = highest(
            plan.bounds[KIND, j],
            plan.bounds[FIXED, j],
            plan.bounds[FIRST, j],
            plan.bounds[SECOND, j],
            u,
            _after(one, u, w),
            _after(two, u, w),
        )
        stepped = highest_numpy(plan.powers[0, A00 : C1 + 1, j], u, w, 1_000)
        assert stepped <= bound + 1e-6 * (1.0 + abs(bound))


def _after(motion: np.ndarray, u: float, w: float) -> float:
    return float(motion[0] * u + motion[1] * w + motion[4])


def test_what_is_no_run_is_refused() -> None:
    engine = engine_at(make_network(), name="sparse")
    size = engine.model.contract.network.input.size
    one = np.ones(1, np.float32)
    with pytest.raises(EngineError, match="the state holds 2"):
        engine.run(engine.new_state(2), SparseBins(np.zeros(2, np.int64), *_nothing()))
    for at in (size, -1):
        bins = SparseBins(np.array([0, 1]), np.array([at], np.int32), one)
        with pytest.raises(EngineError, match=f"inputs from 0 to {size - 1}"):
            engine.run(engine.new_state(), bins)
    wide = SparseBins(np.array([0, 1]), np.array([0]), one)
    with pytest.raises(EngineError, match="inputs int32"):
        engine.run(engine.new_state(), wide)
    short = SparseBins(np.array([0, 2]), np.zeros(1, np.int32), one)
    with pytest.raises(EngineError, match="bins are contiguous"):
        engine.run(engine.new_state(), short)
