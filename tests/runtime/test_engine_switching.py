"""A running state goes on at another resolution: what carries over, and that nothing is lost."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.exporters.network import Network
from retempo.exporters.resolution import Resolution, resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import StepModel, parse_step
from retempo.runtime.engine import Arrays, Engine, EngineState, Vector
from retempo.runtime.engines.history import inner_us, moved_ages
from retempo.runtime.engines.spike_ring import new_ring
from retempo.runtime.engines.together import merge
from retempo.runtime.errors import EngineError
from retempo.runtime.sparse_bins import with_zeros, without_zeros
from tests.builders import LINEAR, exactly_summed, make_inputs, make_network, seeds
from tests.runtime.any_engine import ON_CPU, load_any

SWITCHING = ["onnx", "sparse", ON_CPU]
every_engine = pytest.mark.parametrize("name", SWITCHING)
# Of the source's 10 ms: whole and fractional lags, coarser bins, bins of several inner steps.
dts_us = st.sampled_from([10_000, 5_000, 3_000, 2_000, 1_000, 700, 20_000, 25_000])


def model_of(network: Network) -> StepModel:
    own = parse_step(
        build_step(network, resolve(network.spec, 10_000, "none")).SerializeToString(), "m.onnx"
    )
    assert own.dt_us == 10_000
    return own


def stepped(engine: Engine, state: EngineState, inputs: Vector) -> Vector:
    found = []
    for x in inputs:
        state.x[:] = x
        found.append(engine.step(state).copy())
    return np.array(found)


def moved_by_hand(saved: Arrays, before: Resolution, after: Resolution) -> dict[str, Vector]:
    """A saved state as another resolution would have saved it, spike by spike."""
    ages = moved_ages(before, after)
    moved = {}
    for key, values in saved.items():
        moved[key] = values
        if key.endswith(".spikes"):
            moved[key] = np.zeros((ceil(after.lag), *values.shape[1:]), np.float32)
            for row, age in zip(values, ages, strict=True):
                moved[key][age - 1] += row
    return moved


@every_engine
@settings(max_examples=15)
@given(st.sampled_from(LINEAR), seeds, dts_us, dts_us, st.integers(0, 30), st.integers(1, 3))
def test_a_switched_state_is_one_made_fresh_from_the_same_values(
    name: str, neuron: str, seed: int, before_us: int, after_us: int, steps: int, batch: int
) -> None:
    network = make_network(neuron, seed=seed, stable=True)
    model = model_of(network)
    before, after = model.resolution(before_us), model.resolution(after_us)
    engine = load_any(model, before, name)
    state = engine.new_state(batch)
    stepped(engine, state, make_inputs(network, steps, batch, seed))
    saved = engine.save_state(state)
    engine.set_resolution(state, after)
    assert state.resolution is after
    wanted = moved_by_hand(saved, before, after)
    found = engine.save_state(state)
    assert set(found) == set(wanted)
    for key, values in wanted.items():
        np.testing.assert_array_equal(found[key], values, err_msg=key)
    fresh = load_any(model, after, name)
    twin = fresh.load_state(wanted)
    inputs = make_inputs(network, 25, batch, seed + 1)
    np.testing.assert_array_equal(stepped(engine, state, inputs), stepped(fresh, twin, inputs))
    for key, values in fresh.save_state(twin).items():
        np.testing.assert_array_equal(engine.save_state(state)[key], values, err_msg=key)


@every_engine
@settings(max_examples=10)
@given(seeds, st.lists(st.sampled_from([10_000, 5_000, 2_000, 1_000]), min_size=2, max_size=6))
def test_below_threshold_every_way_through_the_resolutions_ends_alike(
    name: str, seed: int, dts: list[int]
) -> None:
    """Without spikes a state is the same function of time at any step: silence is exact."""
    network = make_network("adlif", seed=seed, stable=True)
    for layer in network.spec.layers:
        # No current: the state decays as the differential equation says.
        assert layer.norm is not None
        layer.norm.bias[:] = layer.norm.mean[:] = [0.0] * layer.neurons
    engine = load_any(model_of(network), name=name)
    rng = np.random.default_rng(seed)
    saved = {
        key: (0.2 * rng.uniform(-1, 1, values.shape)).astype(np.float32)
        if key.endswith(".state")
        else values
        for key, values in engine.save_state(engine.new_state()).items()
    }
    there, direct = engine.load_state(saved), engine.load_state(saved)
    for dt_us in dts:
        engine.set_resolution(there, engine.model.resolution(dt_us))
        for _ in range(20_000 // dt_us):
            engine.step(there)
            assert not any(fired.any() for fired in engine.spikes(there).values())
    for _ in range(2 * len(dts)):
        engine.step(direct)
    wanted = engine.save_state(direct)
    engine.set_resolution(there, direct.resolution)
    for key, values in engine.save_state(there).items():
        np.testing.assert_allclose(values, wanted[key], atol=2e-6, err_msg=key)


@every_engine
@settings(max_examples=20)
@given(
    st.sampled_from([1_000, 2_000, 5_000, 10_000]), st.sampled_from([1_000, 2_000, 5_000]), seeds
)
def test_a_pending_reset_is_heard_at_its_instant(
    name: str, before_us: int, after_us: int, seed: int
) -> None:
    """A spike that is `age` steps old when the step changes is heard one source step after it."""
    network = make_network("lif", (3,))
    model = model_of(network)
    before, after = (model.resolution(dt_us, "lag") for dt_us in (before_us, after_us))
    engine = load_any(model, before, name)
    rng = np.random.default_rng(seed)
    age = int(rng.integers(1, int(before.lag) + 1))
    saved = dict(engine.save_state(engine.new_state()))
    saved["layer0.spikes"] = np.zeros_like(saved["layer0.spikes"])
    quiet = engine.load_state(saved)
    saved["layer0.spikes"][age - 1] = 1.0
    loud = engine.load_state(saved)
    heard_at: list[int] = []
    for state in (quiet, loud):
        engine.set_resolution(state, after)
    for step in range(int(after.lag)):
        for state in (quiet, loud):
            engine.step(state)
        a, b = (engine.save_state(state)["layer0.state"] for state in (quiet, loud))
        if not heard_at and not np.array_equal(a, b):
            heard_at.append(step)
    # It was fired `(age - 1)` steps before the change, and is due a source step later.
    due_us = 10_000 - (age - 1) * before_us
    assert len(heard_at) == 1
    assert heard_at[0] * after_us < due_us <= (heard_at[0] + 1) * after_us


@every_engine
@settings(max_examples=20)
@given(st.lists(dts_us.filter(lambda dt_us: dt_us <= 10_000), min_size=2, max_size=5), seeds)
def test_no_reset_is_lost_on_the_way(name: str, dts: list[int], seed: int) -> None:
    """Whatever the steps between, each pending spike is heard: in the history, and as often."""
    network = make_network("lif", (5,))
    model = model_of(network)
    resolutions = [model.resolution(dt_us, "lag") for dt_us in dts]
    engine = load_any(model, resolutions[0], name)
    saved = dict(engine.save_state(engine.new_state()))
    shape = saved["layer0.spikes"].shape
    drawn = np.random.default_rng(seed).random(shape) < 0.3
    saved["layer0.spikes"] = drawn.astype(np.float32)
    state = engine.load_state(saved)
    for resolution in resolutions[1:]:
        engine.set_resolution(state, resolution)
        left = engine.save_state(state)["layer0.spikes"]
        assert left.shape == (ceil(resolution.lag), *shape[1:])
        np.testing.assert_array_equal(left.sum(axis=0), drawn.sum(axis=0))
        # Between two whole steps nothing waits where it is heard in part only.
        assert not left[int(resolution.lag) :].any() or resolution.lag == int(resolution.lag)


@given(dts_us, dts_us)
def test_moved_ages_keep_their_order_and_their_instant(before_us: int, after_us: int) -> None:
    model = model_of(make_network(hidden=(2,)))
    before, after = model.resolution(before_us), model.resolution(after_us)
    ages = moved_ages(before, after)
    assert ages == sorted(ages)
    assert len(ages) == ceil(before.lag)
    for age, moved in enumerate(ages, 1):
        assert 1 <= moved <= after.lag
        fired_us, kept_us = (age - 1) * inner_us(before), (moved - 1) * inner_us(after)
        # At its instant, to the step; or the oldest, which is heard at once.
        assert kept_us <= fired_us + 1e-3
        assert fired_us < kept_us + inner_us(after) or moved == int(after.lag)


@every_engine
def test_there_and_back_within_a_step_changes_nothing_but_the_rounding_of_ages(name: str) -> None:
    network = make_network(stable=True)
    model = model_of(network)
    fine, coarse = model.resolution(1_000), model.resolution(10_000)
    engine = load_any(model, coarse, name)
    one, other = engine.new_state(2), engine.new_state(2)
    inputs = make_inputs(network, 40, 2)
    for state in (one, other):
        stepped(engine, state, inputs[:20])
    engine.set_resolution(other, fine)
    engine.set_resolution(other, coarse)
    np.testing.assert_array_equal(
        stepped(engine, one, inputs[20:]), stepped(engine, other, inputs[20:])
    )


@every_engine
def test_one_states_switch_does_not_touch_another(name: str) -> None:
    network = make_network(stable=True)
    model = model_of(network)
    engine = load_any(model, model.resolution(1_000), name)
    inputs = make_inputs(network, 40, 1)
    expected = stepped(engine, engine.new_state(), inputs)
    state, other = engine.new_state(), engine.new_state()
    found: list[Vector] = []
    for step, x in enumerate(inputs):
        engine.set_resolution(other, model.resolution(2_000 if step % 2 else 5_000))
        engine.step(other)
        found.extend(stepped(engine, state, x[np.newaxis]))
    np.testing.assert_array_equal(found, expected)
    assert engine.new_state().resolution.dt_us == 1_000


@every_engine
@settings(max_examples=10)
@given(st.sampled_from([10_000, 1_000, 3_000, 25_000]), seeds, st.integers(0, 20))
def test_a_run_is_its_steps_bit_for_bit(name: str, dt_us: int, seed: int, cut: int) -> None:
    network = make_network(seed=seed, stable=True)
    model = model_of(network)
    engine = load_any(model, model.resolution(dt_us), name)
    rows = make_inputs(network, 20, 1, seed)[:, 0]
    rows[np.random.default_rng(seed).random(20) < 0.3] = 0.0  # silent bins too
    one, other = engine.new_state(), engine.new_state()
    expected: list[Vector] = []
    spikes = {key: np.zeros_like(fired) for key, fired in engine.spikes(one).items()}
    for x in rows:
        one.x[0] = x
        expected.append(engine.step(one)[0].copy())
        spikes = {key: spikes[key] + fired for key, fired in engine.spikes(one).items()}
    other.x[:] = 7.0  # what a step before left does not count
    found = [engine.run(other, without_zeros(rows[:cut])).copy()]
    first = {key: fired.copy() for key, fired in engine.spikes(other).items()}
    found.append(engine.run(other, without_zeros(rows[cut:])).copy())
    np.testing.assert_array_equal(np.concatenate(found), expected)
    for key, fired in engine.spikes(other).items():
        np.testing.assert_array_equal(first[key] + fired, spikes[key])
    for key, values in engine.save_state(one).items():
        np.testing.assert_array_equal(engine.save_state(other)[key], values, err_msg=key)


@every_engine
@settings(max_examples=12)
@given(st.data(), st.sampled_from(["radlif", "cubalif"]), seeds)
def test_streams_run_together_are_streams_run_alone(
    name: str, data: st.DataObject, neuron: str, seed: int
) -> None:
    """Of any lengths and resolutions, and run after run."""
    network = exactly_summed(make_network(neuron, (7, 5), seed=seed, stable=True))
    model = model_of(network)
    known = [model.resolution(dt_us) for dt_us in (10_000, 1_000, 300, 25_000, 3_000)]
    engine = load_any(model, name=name)
    chosen = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=9))
    pairs = [(engine.new_state(1, r), engine.new_state(1, r)) for r in chosen]
    rng = np.random.default_rng(seed)
    for _ in range(2):
        lengths = data.draw(st.lists(st.integers(0, 40), min_size=len(pairs), max_size=len(pairs)))
        rows = [make_inputs(network, n, 1, int(rng.integers(2**31)))[:, 0] for n in lengths]
        jobs = [(state, without_zeros(x)) for (state, _), x in zip(pairs, rows, strict=True)]
        together = engine.run_many(jobs)
        for (state, bins), (_, alone), y in zip(jobs, pairs, together, strict=True):
            np.testing.assert_allclose(y, engine.run(alone, bins), atol=1e-6)
            found = engine.save_state(state)
            for key, values in engine.save_state(alone).items():
                np.testing.assert_allclose(found[key], values, atol=1e-5, err_msg=key)
            for key, fired in engine.spikes(alone).items():
                np.testing.assert_array_equal(engine.spikes(state)[key], fired, err_msg=key)


@every_engine
def test_a_batch_of_very_many_streams_is_stepped_in_parts(name: str) -> None:
    network = exactly_summed(make_network("rlif", (4,), stable=True))
    engine = load_any(model_of(network), name=name)
    jobs = [
        (engine.new_state(), without_zeros(make_inputs(network, 5, 1, seed)[:, 0]))
        for seed in range(150)
    ]
    together = engine.run_many(jobs)
    for (_, bins), y in zip(jobs, together, strict=True):
        np.testing.assert_allclose(y, engine.run(engine.new_state(), bins), atol=1e-6)
    assert engine.run_many([]) == []


def test_a_batch_cannot_hold_a_state_twice_nor_one_of_several_streams() -> None:
    network = make_network()
    engine = load_any(model_of(network))
    bins = without_zeros(make_inputs(network, 3, 1)[:, 0])
    state = engine.new_state()
    with pytest.raises(EngineError, match="stands in two jobs"):
        engine.run_many([(state, bins), (state, bins)])
    with pytest.raises(EngineError, match="one stream"):
        engine.run_many([(state, bins), (engine.new_state(2), bins)])
    with pytest.raises(EngineError, match="a run steps one stream, this state holds 2"):
        engine.run(engine.new_state(2), bins)


@pytest.mark.parametrize("streams", [1, 3])
def test_the_streams_of_a_batch_are_merged_bin_by_bin(streams: int) -> None:
    rows = [make_inputs(make_network(), 4 - k, 1, k)[:, 0] for k in range(streams)]
    merged = merge([without_zeros(x) for x in rows], rows[0].shape[1])
    wanted = np.zeros((4, streams, rows[0].shape[1]), np.float32)
    for k, x in enumerate(rows):
        wanted[: len(x), k] = x
    np.testing.assert_array_equal(with_zeros(merged, wanted[0].size), wanted.reshape(4, -1))


def test_a_ring_hears_and_keeps_what_a_list_would() -> None:
    ring, plain = new_ring(3, 2), [np.zeros(2, np.float32)] * 3
    heard = np.empty(2, np.float32)
    for step in range(10):
        fired = np.full(2, step, np.float32)
        ring.hear(heard)[:] = fired
        np.testing.assert_array_equal(heard, plain[0])
        plain = [*plain[1:], fired]
        np.testing.assert_array_equal(ring.newest_first(), plain[::-1])
        np.testing.assert_array_equal(ring.oldest_first(2), plain[:2])
        rows = np.full((step % 4, 2), -step, np.float32)
        ring.extend(rows)
        plain = [*plain, *rows][-3:]
        np.testing.assert_array_equal(ring.newest_first(), plain[::-1])
