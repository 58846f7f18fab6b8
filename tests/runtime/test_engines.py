"""Every engine against the NumPy reference: one step, a thousand steps, the lag, saved states."""

from collections import deque
from copy import deepcopy
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from retempo.exporters import reference
from retempo.exporters.network import Network
from retempo.exporters.resolution import Resolution, resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import StepModel, parse_step
from retempo.runtime.engine import Engine, EngineState, Vector
from retempo.runtime.engines import load_engine
from retempo.runtime.engines.saved import is_spikes
from retempo.runtime.errors import EngineError
from tests.builders import LINEAR, NONLINEAR, make_inputs, make_network, neuron_names, seeds
from tests.runtime.any_engine import EVERY_ENGINE, ON_CPU, load_any


def model_at(network: Network, resolution: Resolution) -> StepModel:
    return parse_step(build_step(network, resolution).SerializeToString(), "m.onnx")


def engine_at(
    network: Network, dt_us: int = 1_000, method: str = "lag", name: str = "onnx"
) -> Engine:
    resolution = resolve(network.spec, dt_us, method)
    return load_any(model_at(network, resolution), resolution, name)


every_engine = pytest.mark.parametrize("name", EVERY_ENGINE)


class Reference:
    """The NumPy step with the spike history that the engine keeps in its ring."""

    def __init__(self, network: Network, resolution: Resolution, batch: int) -> None:
        self._network, self._resolution = network, resolution
        zero = dict(reference.zero_state(network, batch))
        self.spike_names = [name for name in zero if name.endswith(".spikes")]
        self.state = zero
        # How near the threshold a potential came in the last bin.
        self.nearest = np.inf
        # Newest first.
        self.history = {
            name: deque([zero[name]] * ceil(resolution.lag), maxlen=ceil(resolution.lag))
            for name in self.spike_names
        }

    def step(self, x: Vector) -> reference.Float:
        """Step a bin; returns the mean y of its inner steps."""
        self.nearest = np.inf
        inner = [self._step_once(x) for _ in range(self._resolution.substeps)]
        mean: reference.Float = np.mean(inner, axis=0)
        return mean

    def _step_once(self, x: Vector) -> reference.Float:
        lag = self._resolution.lag
        seen = dict(self.state)
        for name, history in self.history.items():
            newer, older = history[floor(lag) - 1], history[ceil(lag) - 1]
            seen[name] = older + np.float32(ceil(lag) - lag) * (newer - older)
        after, y = reference.step(self._network, self._resolution, seen, x)
        self.state = dict(after)
        for name in self.spike_names:
            self.history[name].appendleft(after[name])
            u = after[name.replace(".spikes", ".state")][0]
            self.nearest = min(self.nearest, float(np.abs(u - 1.0).min()))
        return y


@every_engine
@settings(max_examples=25)
@given(
    neuron_names,
    seeds,
    st.lists(st.integers(1, 24), min_size=1, max_size=3),
    st.integers(1, 5),
    st.sampled_from([10_000, 5_000, 1_000]),
)
def test_one_step_from_a_random_state(
    name: str, neuron: str, seed: int, hidden: list[int], batch: int, dt_us: int
) -> None:
    network = make_network(neuron, hidden, seed=seed)
    engine = engine_at(network, dt_us, name=name)
    rng = np.random.default_rng(seed)
    saved = {}
    for key, zeros in engine.save_state(engine.new_state(batch)).items():
        spikes = key.endswith(".spikes")
        drawn = rng.normal(size=zeros.shape)
        saved[key] = np.where(spikes, drawn > 0.5, drawn).astype(np.float32)
    state = engine.load_state(saved)
    x = make_inputs(network, 1, batch, seed)[0]
    state.x[:] = x
    y = engine.step(state).copy()
    # The oldest spikes of the history are the ones that the step reads.
    seen = {n: v[-1] if n.endswith(".spikes") else v for n, v in saved.items()}
    after, expected = reference.step(network, engine.resolution, seen, x)
    hidden_u = [after[f"{layer.name}.state"][0] for layer in network.spec.layers[:-1]]
    assume(min(float(np.abs(u - 1.0).min()) for u in hidden_u) > 1e-4)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    for key, values in engine.save_state(state).items():
        newest = values[0] if key.endswith(".spikes") else values
        scale = max(1.0, float(np.abs(after[key]).max()))
        np.testing.assert_allclose(newest, after[key], atol=1e-5 * scale)


@pytest.mark.parametrize("name", ["onnx", "sparse"])
@pytest.mark.parametrize("neuron", LINEAR)
@pytest.mark.parametrize(
    ("dt_us", "method"),
    [
        (10_000, "none"),
        (1_000, "lag"),
        (3_000, "lag"),
        (2_500, "integral"),
        (40_000, "substep"),
        (25_000, "substep"),
    ],
)
def test_a_thousand_steps_spike_alike_but_at_the_threshold(
    name: str, neuron: str, dt_us: int, method: str
) -> None:
    """Spikes may differ only where the potential lies within rounding of the threshold.

    The neurons are stable: one of spectral radius above 1 amplifies rounding without bound.
    """
    network = make_network(neuron, (24, 16), seed=5, stable=True)
    engine = engine_at(network, dt_us, method, name=name)
    plain = Reference(network, engine.resolution, 2)
    state = engine.new_state(2)
    spikes = 0.0
    for x in make_inputs(network, 1_000, 2, seed=6) * np.float32(engine.resolution.substeps):
        state.x[:] = x
        y = engine.step(state)
        expected = plain.step(x)
        saved = engine.save_state(state)
        differ = any((saved[name][0] != plain.state[name]).any() for name in plain.spike_names)
        spikes += sum(float(saved[name][0].sum()) for name in plain.spike_names)
        if differ:  # from here on both are right, and go their own ways
            assert plain.nearest < 1e-4
            break
        np.testing.assert_allclose(y, expected, atol=1e-3)
    assert spikes > 100


@every_engine
@pytest.mark.parametrize("neuron", NONLINEAR)
@pytest.mark.parametrize(
    ("dt_us", "method"), [(10_000, "euler"), (3_000, "lag"), (1_000, "impulse")]
)
def test_an_upswing_is_stepped_as_the_reference_steps_it(
    name: str, neuron: str, dt_us: int, method: str
) -> None:
    """An upswing amplifies rounding, so each bin begins where the reference ended its last."""
    network = make_network(neuron, (24, 16), seed=5, stable=True)
    engine = engine_at(network, dt_us, method, name=name)
    plain = Reference(network, engine.resolution, 2)
    spikes = 0.0
    for x in make_inputs(network, 200, 2, seed=6):
        history = {name: np.stack(rows) for name, rows in plain.history.items()}
        state = engine.load_state({**plain.state, **history})
        state.x[:] = x
        y = engine.step(state).copy()
        expected = plain.step(x)
        spikes += sum(float(plain.state[name].sum()) for name in plain.spike_names)
        if plain.nearest > 1e-4:
            np.testing.assert_allclose(y, expected, atol=1e-4)
            for name, values in engine.save_state(state).items():
                newest = values[0] if name.endswith(".spikes") else values
                np.testing.assert_allclose(newest, plain.state[name], atol=1e-4, err_msg=name)
    assert spikes > 20


@every_engine
@given(st.sampled_from([10_000, 5_000, 2_000, 1_000, 100]))
def test_feedback_reads_the_spikes_of_lag_steps_ago(name: str, dt_us: int) -> None:
    """A spike written at a step is read again exactly `lag` steps later."""
    network = make_network("rlif", (4,))
    engine = engine_at(network, dt_us, name=name)
    lag = 10_000 // dt_us
    assert engine.resolution.lag == lag
    saved = dict(engine.save_state(engine.new_state()))
    saved["layer0.spikes"] = np.zeros_like(saved["layer0.spikes"])
    quiet = _potentials(engine, engine.load_state(saved), lag + 2)
    saved["layer0.spikes"][0] = 1.0  # the newest spikes of the history
    loud = _potentials(engine, engine.load_state(saved), lag + 2)
    differs = [not np.array_equal(a, b) for a, b in zip(quiet, loud, strict=True)]
    assert differs.index(True) == lag - 1


def _potentials(engine: Engine, state: EngineState, steps: int) -> list[Vector]:
    seen = []
    for _ in range(steps):
        engine.step(state)
        seen.append(engine.save_state(state)["layer0.state"])
    return seen


@every_engine
@settings(max_examples=10)
@given(neuron_names, st.integers(1, 40), st.sampled_from([10_000, 3_000, 1_000, 25_000, 40_000]))
def test_saved_and_resumed_is_uninterrupted(name: str, neuron: str, pause: int, dt_us: int) -> None:
    network = make_network(neuron, stable=True)
    engine = engine_at(network, dt_us, "auto", name=name)
    inputs = make_inputs(network, 60, 3)
    state, whole = engine.new_state(3), []
    for x in inputs:
        state.x[:] = x
        whole.append(engine.step(state).copy())
    state, parts = engine.new_state(3), []
    for step, x in enumerate(inputs):
        if step == pause:
            state = engine.load_state(engine.save_state(state))
        state.x[:] = x
        parts.append(engine.step(state).copy())
    np.testing.assert_array_equal(parts, whole)


@every_engine
@given(neuron_names, seeds, st.integers(2, 6))
@settings(max_examples=10)
def test_a_substepped_bin_is_the_source_network_stepped_within_it(
    name: str, neuron: str, seed: int, ratio: int
) -> None:
    network = make_network(neuron, seed=seed, stable=True)
    coarse, fine = (
        engine_at(network, ratio * 10_000, "substep", name=name),
        engine_at(network, 10_000, "none", name=name),
    )
    a, b = coarse.new_state(2), fine.new_state(2)
    for x in make_inputs(network, 40, 2, seed):
        a.x[:], b.x[:] = ratio * x, x
        y = coarse.step(a)
        inner = [fine.step(b).copy() for _ in range(ratio)]
        spikes, expected = (
            engine.save_state(state)["layer0.spikes"] for engine, state in ((coarse, a), (fine, b))
        )
        assume(np.array_equal(spikes, expected))  # but at the threshold
        np.testing.assert_allclose(y, np.mean(inner, axis=0), atol=1e-3)


@every_engine
def test_another_resolution_is_bound_without_another_file(name: str) -> None:
    """A file exported at 10 ms and moved to 1 ms steps as the file exported at 1 ms."""
    network = make_network()
    home = model_at(network, resolve(network.spec, 10_000, "integral"))
    moved = load_any(home, home.resolution(1_000, "lag"), name)
    direct = engine_at(network, 1_000, "lag", name=name)
    a, b = moved.new_state(), direct.new_state()
    for x in make_inputs(network, 200, 1):
        a.x[:] = b.x[:] = x
        np.testing.assert_array_equal(moved.step(a), direct.step(b))


@every_engine
def test_states_of_one_engine_do_not_touch(name: str) -> None:
    network = make_network()
    engine = engine_at(network, name=name)
    inputs = make_inputs(network, 50, 2)
    alone = engine.new_state()
    expected = []
    for x in inputs:
        alone.x[0] = x[0]
        expected.append(engine.step(alone).copy())
    one, other = engine.new_state(), engine.new_state()
    for step, x in enumerate(inputs):
        one.x[0], other.x[0] = x
        y = engine.step(one).copy()
        engine.step(other)
        np.testing.assert_array_equal(y, expected[step])


@every_engine
def test_a_saved_state_of_another_shape_is_refused(name: str) -> None:
    network = make_network()
    fine, coarse = engine_at(network, 1_000, name=name), engine_at(network, 5_000, name=name)
    saved = fine.save_state(fine.new_state())
    with pytest.raises(
        EngineError, match=r"layer0\.spikes is \(10, 1, 16\), expected \(2, 1, 16\)"
    ):
        coarse.load_state(saved)
    with pytest.raises(EngineError, match=r"layer0\.state is missing"):
        fine.load_state({})
    with pytest.raises(EngineError, match=r"has no state layer9\.state; it is another network's"):
        fine.load_state({**saved, "layer9.state": saved["layer0.state"]})


def test_an_empty_batch_and_an_unknown_engine_are_refused() -> None:
    engine = engine_at(make_network())
    with pytest.raises(EngineError, match="at least 1 stream, got 0"):
        engine.new_state(0)
    with pytest.raises(EngineError, match="unknown engine 'dense'; known are sparse, onnx"):
        load_engine(engine.model, name="dense")


def test_only_spikes_are_read_with_a_lag() -> None:
    states = engine_at(make_network()).model.contract.states
    assert {state.name for state in states if is_spikes(state)} == {
        "layer0.spikes",
        "layer1.spikes",
    }


def test_a_state_of_addresses_cannot_be_copied_nor_its_input_replaced() -> None:
    engine = engine_at(make_network(), name="sparse")
    state = engine.new_state()
    with pytest.raises(TypeError, match="save_state and load_state"):
        deepcopy(state)
    with pytest.raises(AttributeError):
        state.x = state.x.copy()  # type: ignore[misc]


def test_the_engine_of_a_gpu_is_refused_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    model = engine_at(make_network()).model
    with pytest.raises(EngineError, match="the engine cuda needs ONNX Runtime with CUDA"):
        load_engine(model, name="cuda")


def test_a_history_too_large_for_a_gpu_is_refused_before_the_state_changes() -> None:
    engine = engine_at(make_network(), name=ON_CPU)
    state = engine.new_state(200)
    with pytest.raises(EngineError, match="too many to shift at each step on a GPU"):
        engine.set_resolution(state, engine.model.resolution(1, "lag"))
    assert state.resolution.dt_us == 1_000
    engine.step(state)
