"""The sparse engine at a changing time step: what carries over, and what pending spikes do."""

import time
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.exporters.network import Network
from retempo.runtime.engine import Engine
from retempo.runtime.engines import load_engine
from retempo.runtime.engines.history import moved_ages
from retempo.runtime.engines.sparse.relay import relay_numpy
from tests.builders import LINEAR, make_inputs, make_network, seeds
from tests.runtime.test_engines import Reference, engine_at

DTS = st.sampled_from([10_000, 5_000, 4_000, 3_000, 1_000, 500])


def engine_of(network: Network, dt_us: int) -> Engine:
    return engine_at(network, dt_us, "lag", name="sparse")


@settings(max_examples=25)
@given(st.sampled_from(LINEAR), seeds, st.lists(DTS, min_size=2, max_size=5), st.integers(1, 3))
def test_a_switched_state_goes_on_as_the_reference_with_its_history_moved(
    neuron: str, seed: int, dts: list[int], batch: int
) -> None:
    """Pending spikes are heard at their instant, none is lost, and values stay as they are."""
    network = make_network(neuron, seed=seed, stable=True)
    engine = engine_of(network, dts[0])
    model = engine.model
    state = engine.new_state(batch)
    plain = Reference(network, engine.resolution, batch)
    inputs = make_inputs(network, 12 * len(dts), batch, seed)
    for place, dt_us in enumerate(dts):
        before, resolution = state.resolution, model.resolution(dt_us, "lag")
        engine.set_resolution(state, resolution)
        assert state.resolution is resolution
        after = Reference(network, resolution, batch)
        after.state = plain.state
        for name, history in plain.history.items():
            moved = relay_numpy(
                np.stack(history), moved_ages(before, resolution), ceil(resolution.lag)
            )
            after.history[name].extend(moved)
        plain = after
        for x in inputs[12 * place : 12 * (place + 1)]:
            saved = engine.save_state(state)
            for name, history in plain.history.items():
                np.testing.assert_array_equal(saved[name], np.stack(history))
            state.x[:] = x
            y, expected = engine.step(state), plain.step(x)
            if plain.nearest < 1e-4:
                return
            np.testing.assert_allclose(y, expected, atol=1e-3)


@given(seeds)
@settings(max_examples=10)
def test_below_threshold_there_and_back_is_exact(seed: int) -> None:
    """A decaying potential is where it would be, at whatever steps the time has passed."""
    network = make_network("lif", (8,), seed=seed)
    engine = engine_of(network, 10_000)
    coarse, fine = engine.resolution, engine.model.resolution(1_000, "lag")
    saved = dict(engine.save_state(engine.new_state()))
    drawn = np.random.default_rng(seed).uniform(-20.0, -10.0, saved["layer0.state"].shape)
    saved["layer0.state"] = drawn.astype(np.float32)
    still, moved = engine.load_state(saved), engine.load_state(saved)
    for _ in range(3):
        engine.step(still)
    engine.step(moved)
    engine.set_resolution(moved, fine)
    for _ in range(10):
        engine.step(moved)
    engine.set_resolution(moved, coarse)
    engine.step(moved)
    np.testing.assert_allclose(
        engine.save_state(moved)["layer0.state"],
        engine.save_state(still)["layer0.state"],
        rtol=1e-5,
    )


@given(seeds, st.sampled_from([1_000, 3_000, 700]))
@settings(max_examples=10)
def test_spikes_that_met_in_a_step_are_saved_as_often_as_they_are(seed: int, dt_us: int) -> None:
    """A saved state with spikes of 2.0 and more resumes bit for bit."""
    network = make_network("radlif", (12, 10), seed=seed, stable=True)
    engine = engine_of(network, dt_us)
    state = engine.new_state()
    for x in make_inputs(network, 40, 1, seed):
        state.x[:] = 3.0 * x
        engine.step(state)
    coarse = engine.model.resolution(4_000, "lag")
    engine.set_resolution(state, coarse)
    saved = engine.save_state(state)
    resumed = load_engine(engine.model, coarse, "sparse").load_state(saved)
    for name, values in engine.save_state(resumed).items():
        np.testing.assert_array_equal(values, saved[name])
    for x in make_inputs(network, 10, 1, seed + 1):
        state.x[:] = resumed.x[:] = x
        np.testing.assert_array_equal(engine.step(state), engine.step(resumed))


def test_spikes_meet_where_the_step_grows() -> None:
    network = make_network("radlif", (24,), seed=1, stable=True)
    engine = engine_of(network, 1_000)
    state = engine.new_state()
    for x in make_inputs(network, 60, 1):
        state.x[:] = 10.0 * x
        engine.step(state)
    fine = engine.save_state(state)["layer0.spikes"]
    engine.set_resolution(state, engine.model.resolution(10_000, "lag"))
    coarse = engine.save_state(state)["layer0.spikes"]
    np.testing.assert_array_equal(coarse[0], fine.sum(axis=0))
    assert coarse.max() > 1.0


def test_a_switch_takes_less_than_a_step_of_a_large_network() -> None:
    """100 us are asked for; the bound leaves room for a machine that does other things."""
    network = make_network("radlif", (512, 512))
    engine = engine_at(network, 500, "lag", name="sparse")
    fine, coarse = engine.resolution, engine.model.resolution(1_000, "lag")
    state = engine.new_state()
    times = []
    for round_ in range(60):
        began = time.perf_counter()
        engine.set_resolution(state, fine if round_ % 2 else coarse)
        times.append(time.perf_counter() - began)
    assert float(np.median(times[10:])) < 500e-6


def test_one_and_the_same_resolution_changes_nothing() -> None:
    network = make_network()
    engine = engine_of(network, 1_000)
    a, b = engine.new_state(), engine.new_state()
    for x in make_inputs(network, 30, 1):
        a.x[:] = b.x[:] = x
        engine.set_resolution(a, engine.resolution)
        np.testing.assert_array_equal(engine.step(a), engine.step(b))


def test_a_saved_half_spike_is_refused() -> None:
    engine = engine_of(make_network(), 10_000)
    saved = dict(engine.save_state(engine.new_state()))
    saved["layer0.spikes"] = saved["layer0.spikes"] + np.float32(0.5)
    with pytest.raises(Exception, match=r"spikes that are not 0, 1, 2"):
        engine.load_state(saved)
