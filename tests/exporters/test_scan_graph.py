"""A scan over a recording against its steps one by one."""

from math import ceil

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.exporters.contract import METADATA_KEY, SCAN_KEY, states_of
from retempo.exporters.errors import ContractError
from retempo.exporters.network import Network
from retempo.exporters.resolution import Resolution, resolve
from retempo.exporters.scan_graph import build_scan
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import bound_coefficients, parse_step
from retempo.runtime.engine import Arrays, Vector
from retempo.runtime.engines import load_engine
from tests.builders import exactly_summed, make_inputs, make_network, neuron_names, seeds
from tests.conv_builders import make_conv_network

DTS_US = [10_000, 5_000, 3_000, 1_000, 20_000, 25_000]


def scanned(
    network: Network, resolution: Resolution, x: Vector, states: Arrays, **others: Vector
) -> dict[str, Vector]:
    """Run the scan in a plain session, as somebody without Retempo would."""
    content = build_scan(network, resolution).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": x, **states, **others}), strict=True))


def held_against_steps(
    network: Network, dt_us: int, bins: int, batch: int, seed: int, atol: float = 1e-5
) -> None:
    """A scan of the second half of a recording against its steps, from the state of the first."""
    resolution = resolve(network.spec, dt_us, "auto")
    model = parse_step(build_step(network, resolution).SerializeToString(), "m.onnx")
    engine = load_engine(model, name="onnx")
    state = engine.new_state(batch)
    inputs = make_inputs(network, 10 + bins, batch, seed)
    y = []
    for x in inputs[:10]:
        state.x[:] = x
        engine.step(state)
    saved = engine.save_state(state)
    for x in inputs[10:]:
        state.x[:] = x
        y.append(engine.step(state).copy())
    found = scanned(network, resolution, inputs[10:], saved)
    assert found["y"].shape == (bins, batch, len(network.spec.labels))
    np.testing.assert_allclose(found["y"], y, atol=atol)
    for key, values in engine.save_state(state).items():
        scale = max(1.0, float(np.abs(values).max()))
        np.testing.assert_allclose(found[f"{key}_next"], values, atol=atol * scale, err_msg=key)


@settings(max_examples=15)
@given(
    neuron_names,
    st.lists(st.integers(1, 12), max_size=3),
    seeds,
    st.sampled_from(DTS_US),
    st.integers(1, 15),
    st.integers(1, 3),
)
def test_a_scan_is_its_steps_and_ends_in_their_state(
    neuron: str, hidden: list[int], seed: int, dt_us: int, bins: int, batch: int
) -> None:
    network = exactly_summed(make_network(neuron, hidden, seed=seed, stable=True))
    held_against_steps(network, dt_us, bins, batch, seed, atol=1e-4)


@pytest.mark.parametrize("dt_us", [1_000, 20_000])
def test_a_scan_of_convolutions(dt_us: int) -> None:
    held_against_steps(exactly_summed(make_conv_network()), dt_us, 20, 2, 0)


def test_a_scan_in_two_parts_is_one() -> None:
    network = make_network(stable=True)
    resolution = resolve(network.spec, 3_000, "lag")
    x = make_inputs(network, 40, 1)
    zeros = {
        s.name: np.zeros([*([ceil(s.lag)] * (len(s.shape) == 2)), *map(abs, s.shape)], np.float32)
        for s in states_of(network.spec, resolution.lag)
    }
    whole = scanned(network, resolution, x, zeros)
    first = scanned(network, resolution, x[:17], zeros)
    states = {key.removesuffix("_next"): v for key, v in first.items() if key != "y"}
    second = scanned(network, resolution, x[17:], states)
    np.testing.assert_allclose(np.concatenate((first["y"], second["y"])), whole["y"], atol=1e-6)


def test_a_scans_coefficients_can_be_bound() -> None:
    """As a step's: another normalisation of the same lag needs no other file."""
    network = make_network(stable=True)
    own, other = (resolve(network.spec, 1_000, "lag", rule) for rule in ("paper", "none"))
    x = make_inputs(network, 30, 1)
    model = parse_step(build_step(network, own).SerializeToString(), "m.onnx")
    fresh = load_engine(model, name="onnx")
    states = fresh.save_state(fresh.new_state())
    bound = scanned(network, own, x, states, **bound_coefficients(model.contract, other))
    exported = scanned(network, other, x, states)
    np.testing.assert_array_equal(bound["y"], exported["y"])
    assert not np.array_equal(scanned(network, own, x, states)["y"], exported["y"])


def test_a_scan_is_no_step() -> None:
    network = make_network()
    model = build_scan(network, resolve(network.spec, 1_000, "lag"))
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert SCAN_KEY in properties
    assert METADATA_KEY not in properties
    with pytest.raises(ContractError, match=r"s\.onnx is a scan over whole recordings, not a step"):
        parse_step(model.SerializeToString(), "s.onnx")
