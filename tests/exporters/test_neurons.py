"""Each neuron against the equations of its docstring, and the page on adding one."""

import re
import sys
from importlib import util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from retempo.exporters import reference
from retempo.exporters.adaptation.powers import apply, eigenvalues, spectral_radius
from retempo.exporters.neurons import NEURONS, Neuron, source_coefficients
from retempo.exporters.neurons.general import Array
from retempo.exporters.neurons.se_adlif import SCALE
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.engines import load_engine
from tests.builders import LINEAR, SPIKING, make_inputs, make_network, make_parameters, seeds

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-neuron.md"


def drive(neuron: str, seed: int) -> tuple[dict[str, Array], Array, Array]:
    """Parameters of 8 neurons, and 40 steps of input and of heard spikes."""
    rng = np.random.default_rng(seed)
    parameters = make_parameters(neuron, 8, rng)
    return parameters, rng.normal(2.0, 4.0, (40, 8)), rng.normal(0.0, 1.0, (40, 8))


def run(neuron: str, p: dict[str, Array], current: Array, heard: Array) -> Array:
    """The state after each step by A, R, F and G."""
    c = source_coefficients(NEURONS[neuron], p)
    v, s, states = np.zeros((c.variables, c.neurons)), np.zeros(c.neurons), []
    for i, r in zip(current, heard, strict=True):
        v = apply(c.A, v) + c.R * s + c.F * i + c.G * r
        s = (v[0] > 1.0).astype(float)
        states.append(v)
    assert sum(float((v[0] > 1.0).sum()) for v in states) > 0
    return np.array(states)


@given(seeds)
def test_cubalif_filters_its_input_before_the_membrane(seed: int) -> None:
    p, current, heard = drive("rcubalif", seed)
    u, synapse, s, states = np.zeros(8), np.zeros(8), np.zeros(8), []
    for i, r in zip(current, heard, strict=True):
        synapse = p["beta"] * synapse + (1 - p["beta"]) * (i + r)
        u = p["alpha"] * (u - s) + (1 - p["alpha"]) * synapse
        s = (u > 1.0).astype(float)
        states.append([u, synapse])
    np.testing.assert_allclose(run("rcubalif", p, current, heard), states, atol=1e-12)


@given(seeds)
def test_se_adlif_moves_its_adaptation_after_its_membrane(seed: int) -> None:
    """The reset comes at the end of the step that fired, as its authors have it."""
    p, current, heard = drive("se_radlif", seed)
    alpha, beta, a, b = (p[name] for name in ("alpha", "beta", "a", "b"))
    u, w, states = np.zeros(8), np.zeros(8), []
    for i, r in zip(current, heard, strict=True):
        before = alpha * u - (1 - alpha) * w + (1 - alpha) * (i + r)
        s = (before > 1.0).astype(float)
        # What is stored: the state before the reset, with the adaptation that it would have had.
        states.append([before, beta * w + (1 - beta) * SCALE * a * before])
        u = before - s
        w = beta * w + (1 - beta) * SCALE * (a * u + b * s)
    np.testing.assert_allclose(run("se_radlif", p, current, heard), states, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("neuron", [name for name in SPIKING if "adlif" not in name])
def test_neurons_of_a_decaying_equation_are_stable(neuron: str) -> None:
    p = make_parameters(neuron, 500, np.random.default_rng(0))
    assert float(spectral_radius(source_coefficients(NEURONS[neuron], p).A).max()) < 1.0


@pytest.mark.parametrize("neuron", SPIKING)
def test_every_real_power_exists_over_the_whole_range(neuron: str) -> None:
    p = make_parameters(neuron, 500, np.random.default_rng(0))
    values = eigenvalues(source_coefficients(NEURONS[neuron], p).A)
    assert not ((values.imag == 0.0) & (values.real <= 0.0)).any()


def test_symplectic_neurons_are_stable_and_turn_where_adlif_grows() -> None:
    p = make_parameters("se_adlif", 500, np.random.default_rng(0))
    values = eigenvalues(source_coefficients(NEURONS["se_adlif"], p).A)
    np.testing.assert_allclose(np.prod(values, axis=1), p["alpha"] * p["beta"])
    assert np.abs(values).max() < 1.0
    assert (values.imag != 0.0).mean() > 0.5
    p = make_parameters("adlif", 500, np.random.default_rng(0))
    assert (spectral_radius(source_coefficients(NEURONS["adlif"], p).A) >= 1.0).mean() > 0.1


def test_the_registry_has_each_neuron_with_and_without_recurrence() -> None:
    pairs = [(name, NEURONS[name].recurrent) for name in SPIKING]
    assert sum(recurrent for _, recurrent in pairs) * 2 == len(pairs)
    assert len(LINEAR) == 8


@pytest.fixture
def neuron_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Neuron:
    """The page's example as a file of its own, in the registry."""
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    path = tmp_path / "quartic.py"
    path.write_text(example)
    found = util.spec_from_file_location("quartic", path)
    assert found is not None
    assert found.loader is not None
    module = util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, "quartic", module)
    found.loader.exec_module(module)
    neuron: Neuron = module.QUARTIC
    monkeypatch.setitem(NEURONS, neuron.name, neuron)
    return neuron


@pytest.mark.parametrize("dt_us", [2_500, 10_000, 25_000])
def test_the_neuron_of_the_page_is_adapted_exported_and_stepped(
    neuron_of_the_page: Neuron, dt_us: int
) -> None:
    network = make_network(neuron_of_the_page.name)
    resolution = resolve(network.spec, dt_us, "impulse")
    engine = load_engine(
        parse_step(build_step(network, resolution).SerializeToString(), "m.onnx"),
        resolution,
        "onnx",
    )
    state, plain, spikes = engine.new_state(2), reference.zero_state(network, 2), 0.0
    for x in make_inputs(network, 10, 2) * np.float32(3.0):
        state.x[:] = x
        y = engine.step(state)
        inner = []
        for _ in range(resolution.substeps):
            plain, out = reference.step(network, resolution, plain, x)
            inner.append(out)
        np.testing.assert_allclose(y, np.mean(inner, axis=0), atol=1e-4)
        spikes += float(plain["layer0.spikes"].sum())
    assert spikes > 0.0
