"""Long silence in the sparse engine: slept through in closed form, as if it had been stepped."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from retempo.exporters.network import Network
from retempo.runtime.engine import Engine
from retempo.runtime.engines.sparse.arena import (
    A00,
    A01,
    A11,
    AWAKE,
    C0,
    C1,
    FIRST,
    FIXED,
    KIND,
    LEVELS,
    MOTION,
    RESTFUL,
    SECOND,
    SLEPT,
)
from retempo.runtime.engines.sparse.engine import SparseEngine, SparseState
from retempo.runtime.engines.sparse.kernel import NAP
from retempo.runtime.engines.sparse.program import COEFFICIENTS_AT, NEURONS, coefficients_of
from retempo.runtime.engines.sparse.silence import (
    DRIFTING,
    LONGEST,
    UNKNOWN,
    _bounds_of,
    _twice,
    highest,
    highest_numpy,
    plan_of,
)
from retempo.runtime.sparse_bins import SparseBins, without_zeros
from tests.builders import LINEAR, make_network, seeds
from tests.conv_builders import make_conv_network
from tests.runtime.test_engines import engine_at

CASES = [(10_000, "none"), (1_000, "lag"), (3_000, "lag"), (25_000, "substep")]
SILENCE_US = 10_000_000


def quiet(network: Network, seed: int = 0) -> Network:
    """The same network without a drive of its own: left alone, its hidden neurons come to rest."""
    rng = np.random.default_rng(seed)
    layers = []
    for layer in network.spec.layers:
        norm = layer.norm
        if norm is not None and layer.name != "readout":
            bias = rng.uniform(-0.5, 0.0, layer.neurons).tolist()
            norm = msgspec.structs.replace(norm, mean=[0.0] * layer.neurons, bias=bias)
        layers.append(msgspec.structs.replace(layer, norm=norm))
    return Network(msgspec.structs.replace(network.spec, layers=layers), network.weights)


def sparse_at(network: Network, dt_us: int = 1_000, method: str = "lag") -> SparseEngine:
    engine = engine_at(network, dt_us, method, name="sparse")
    assert isinstance(engine, SparseEngine)
    return engine


def sleepless(engine: SparseEngine) -> SparseState:
    """A state that steps through silence as through everything else."""
    state = engine.new_state()
    state.memory.table[RESTFUL] = 0
    return state


def slept(state: SparseState) -> int:
    """How many inner steps it has slept by now, `AWAKE` if it is not asleep."""
    return int(state.memory.rest[0, SLEPT])


def then_silence(size: int, bins: int, seed: int, silence: int) -> SparseBins:
    rng = np.random.default_rng(seed)
    loud = rng.poisson(0.1, (bins, size)).astype(np.float32)
    return without_zeros(np.concatenate([loud, np.zeros((silence, size), np.float32)]))


def agree(engine: Engine, asleep: SparseState, awake: SparseState, atol: float) -> None:
    for name, fired in engine.spikes(awake).items():
        np.testing.assert_array_equal(engine.spikes(asleep)[name], fired)
    a, b = engine.save_state(asleep), engine.save_state(awake)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=atol, err_msg=name)


@settings(max_examples=25)
@given(st.sampled_from(LINEAR), seeds, st.sampled_from(CASES))
def test_silence_slept_through_is_silence_stepped(
    neuron: str, seed: int, case: tuple[int, str]
) -> None:
    """10 s of it, most of which is slept: values and scores within 1e-4, and no spike is missed."""
    network = quiet(make_network(neuron, seed=seed, stable=True), seed)
    engine = sparse_at(network, *case)
    silence = SILENCE_US // case[0]
    bins = then_silence(network.spec.input.size, 20, seed, silence)
    asleep, awake = engine.new_state(), sleepless(engine)
    y, expected = engine.run(asleep, bins), engine.run(awake, bins)
    assert slept(awake) == AWAKE
    assert slept(asleep) >= engine.resolution.substeps * (silence - 2 * NAP) // 2
    np.testing.assert_allclose(y, expected, atol=1e-4)
    agree(engine, asleep, awake, 1e-4)


@settings(max_examples=25)
@given(st.sampled_from(LINEAR), seeds, st.sampled_from(CASES))
def test_a_network_with_a_drive_of_its_own_misses_no_spike(
    neuron: str, seed: int, case: tuple[int, str]
) -> None:
    """It may sleep or not: whichever it does, it is as stepped."""
    network = make_network(neuron, seed=seed, stable=True)
    engine = sparse_at(network, *case)
    bins = then_silence(network.spec.input.size, 20, seed, SILENCE_US // case[0])
    asleep, awake = engine.new_state(), sleepless(engine)
    y, expected = engine.run(asleep, bins), engine.run(awake, bins)
    np.testing.assert_allclose(y, expected, atol=1e-4)
    agree(engine, asleep, awake, 1e-4)


@pytest.mark.parametrize(
    "network",
    [make_network("radlif", (128,), seed=3, stable=True), make_conv_network()],
    ids=["dense", "convolved"],
)
def test_a_stream_without_drive_sleeps_after_a_nap_or_two_until_the_next_input(
    network: Network,
) -> None:
    engine = sparse_at(quiet(network))
    state = engine.new_state()
    bins = 3_000
    engine.run(state, silent(bins))
    assert slept(state) >= bins - 2 * NAP
    state.x[0, 0] = 1.0
    engine.step(state)
    assert slept(state) == AWAKE


def silent(bins: int) -> SparseBins:
    return SparseBins(np.zeros(bins + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def integrator(drift: float) -> SparseEngine:
    """A layer of LIF neurons whose membranes keep what they have: `v[k] = v[k-1] + drift`."""
    engine = sparse_at(quiet(make_network("lif", (8,), seed=2)))
    row = engine.program.layers[0]
    n, at = int(row[NEURONS]), int(row[COEFFICIENTS_AT])
    rows = engine.new_state().tuning.coefficients[at : at + 3 * n].reshape(3, n)
    rows[0], rows[2] = 1.0, drift
    return engine


# Sums of these are exact in float32 however many there are.
STEP = 2.0**-10


@pytest.mark.parametrize("drift", [0.0, -STEP])
def test_an_integrator_sleeps_and_is_where_it_would_be_to_the_last_bit(drift: float) -> None:
    """An eigenvalue of exactly 1: there is no fixed point to tend to."""
    engine = integrator(drift)
    asleep, awake = engine.new_state(), sleepless(engine)
    for state in (asleep, awake):
        state.memory.values[0, :8] = np.arange(-4, 4) * 2.0**-4
    bins = 10_000
    y, expected = engine.run(asleep, silent(bins)), engine.run(awake, silent(bins))
    assert slept(asleep) == bins - NAP
    assert slept(awake) == AWAKE
    np.testing.assert_allclose(y, expected, atol=1e-6)
    saved = engine.save_state(asleep)["layer0.state"]
    np.testing.assert_array_equal(saved, engine.save_state(awake)["layer0.state"])
    np.testing.assert_array_equal(saved[0, 0], np.arange(-4, 4) * 2.0**-4 + bins * drift)


def test_an_integrator_that_drifts_to_its_threshold_never_sleeps_and_fires() -> None:
    engine = integrator(STEP)
    state, awake = engine.new_state(), sleepless(engine)
    bins = 3_000
    y, expected = engine.run(state, silent(bins)), engine.run(awake, silent(bins))
    assert slept(state) == AWAKE
    assert engine.spikes(state)["layer0.spikes"].min() >= 1.0
    np.testing.assert_array_equal(y, expected)
    agree(engine, state, awake, 0.0)


@given(
    st.sampled_from([0.0, 0.5, 0.96875, -0.5, -0.96875]),
    st.sampled_from([0.0, 0.25, -0.25]),
    st.tuples(*[st.floats(-2.0, 2.0)] * 4),
)
def test_an_eigenvalue_of_exactly_1_is_a_drift_that_is_bounded_and_powered_as_stepped(
    second: float, coupling: float, drawn: tuple[float, float, float, float]
) -> None:
    """Two variables: `A = [[1, b], [0, d]]`, of which the eigenvalues are 1 and `d`."""
    u, w, e, f = drawn
    motion = np.zeros((MOTION, 1))
    motion[[A00, A01, A11, C0, C1], 0] = 1.0, coupling, second, e, f
    bounds = _bounds_of(motion, 2, np.ones(1))
    assert bounds[KIND, 0] == DRIFTING
    one = motion[:, 0]
    u1, w1 = u + coupling * w + e, second * w + f
    bound = highest(
        bounds[KIND, 0],
        bounds[FIXED, 0],
        bounds[FIRST, 0],
        bounds[SECOND, 0],
        u,
        u1,
        u1 + coupling * w1 + e,
    )
    assert highest_numpy(one, u, w, 2_000) <= bound + 1e-6 * (1.0 + abs(bound))
    power = motion
    for _ in range(7):
        power = _twice(power)
    a, b, c, d, along, across = power[:, 0]
    for _ in range(1 << 7):
        u, w = u + coupling * w + e, second * w + f
    begin_u, begin_w = drawn[:2]
    np.testing.assert_allclose(a * begin_u + b * begin_w + along, u, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(c * begin_u + d * begin_w + across, w, rtol=1e-9, atol=1e-9)


def test_the_powers_of_an_integrator_reach_to_the_longest_sleep() -> None:
    """`A^n = 1` and the sum of the drifts, exactly: a geometric series would divide by 0."""
    engine = integrator(-STEP)
    plan = plan_of(engine.program, engine.new_state().tuning.coefficients)
    for level in range(LEVELS):
        np.testing.assert_array_equal(plan.powers[level, A00], 1.0)
        np.testing.assert_array_equal(plan.powers[level, C0], -STEP * 2.0**level)
    assert sum(1 << level for level in range(LEVELS - 1)) == LONGEST
    np.testing.assert_array_equal(plan.bounds[KIND], DRIFTING)


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
    engine = sparse_at(network, dt_us)
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


def test_a_state_that_is_no_number_never_sleeps() -> None:
    """It stays seen: `finite` is asked of the values themselves."""
    for drift in (0.0, None):
        engine = integrator(drift) if drift is not None else sparse_at(quiet(make_network("lif")))
        state = engine.new_state()
        state.memory.values[0, 0] = np.nan
        engine.run(state, silent(1_000))
        assert slept(state) == AWAKE
        assert not engine.finite(state)[0]


@settings(max_examples=10)
@given(st.sampled_from(LINEAR), seeds, st.lists(st.integers(0, 2_020), min_size=1, max_size=4))
def test_a_sleeping_stream_may_be_cut_anywhere(neuron: str, seed: int, cuts: list[int]) -> None:
    """Bit for bit; it sleeps in most of the cuts, and in all of them at the end."""
    network = quiet(make_network(neuron, seed=seed, stable=True), seed)
    engine = sparse_at(network)
    bins = then_silence(network.spec.input.size, 20, seed, 2_000)
    whole, parts = engine.new_state(), engine.new_state()
    expected = engine.run(whole, bins).copy()
    edges = [0, *sorted(cuts), len(bins)]
    got = [engine.run(parts, bins.part(begin, end)).copy() for begin, end in pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(got), expected)
    assert slept(parts) == slept(whole) > 0
