"""The ONNX step and its contract, and what a foreign or broken file is told."""

from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from retempo.exporters.contract import METADATA_KEY
from retempo.exporters.description import GridSpec
from retempo.exporters.errors import AdaptationError, ContractError, ExportError, NetworkError
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step, write_step
from retempo.exporters.step_model import input_shapes, load_step, parse_step
from tests.builders import make_network, neuron_names


@pytest.fixture(scope="module")
def content() -> bytes:
    network = make_network()
    return bytes(build_step(network, resolve(network.spec, 1_000, "lag")).SerializeToString())


@cache
def small_model() -> bytes:
    network = make_network(hidden=(3,), geometry=GridSpec(2, 2, 1), labels=2)
    return bytes(build_step(network, resolve(network.spec, 1_000, "lag")).SerializeToString())


def changed(content: bytes, key: str, value: object) -> bytes:
    """Return the model with one key of its contract changed, a path of names and indices."""
    model = onnx.load_model_from_string(content)
    contract = msgspec.json.decode(model.metadata_props[0].value)
    *path, last = key.split(".")
    table = contract
    for part in path:
        table = table[int(part) if part.isdigit() else part]
    table[int(last) if last.isdigit() else last] = value
    helper.set_model_props(model, {METADATA_KEY: msgspec.json.encode(contract).decode()})
    return bytes(model.SerializeToString())


def test_the_contract_says_what_was_exported(content: bytes) -> None:
    model = parse_step(content, "m.onnx")
    assert model.dt_us == 1_000
    assert model.contract.resolution.method == "lag"
    assert model.contract.resolution.normalisation == "paper"
    assert model.contract.resolution.lag == 10
    assert model.contract.network == make_network().spec
    spikes = [state for state in model.contract.states if state.name == "layer0.spikes"]
    assert [(state.shape, state.lag) for state in spikes] == [([-1, 16], 10)]


@settings(max_examples=10)
@given(neuron_names, st.sampled_from(["none", "tau", "euler", "integral", "expectation", "lag"]))
def test_any_resolution_follows_from_the_contract(neuron: str, method: str) -> None:
    """What a file says of another resolution is what the network itself would export."""
    network = make_network(neuron)
    home = resolve(network.spec, network.spec.source_dt_us, "integral")
    model = parse_step(build_step(network, home).SerializeToString(), "m.onnx")
    there = model.resolution(2_500, method)
    direct = resolve(network.spec, 2_500, method)
    for ours, theirs in zip(there.layers, direct.layers, strict=True):
        for name in ("A", "R", "F", "G", "gain", "bias", "threshold"):
            assert getattr(ours, name).tolist() == getattr(theirs, name).tolist()


def test_another_step_than_the_files_own_is_adapted_by_auto(content: bytes) -> None:
    model = parse_step(content, "m.onnx")
    assert model.resolution().method == "lag"
    assert model.resolution(2_000).method == "auto"
    assert model.resolution(20_000).method == "auto"


def test_an_unadapted_file_adapts_when_the_step_changes() -> None:
    """Stepping at another time step must never silently mean no adaptation."""
    network = make_network()
    home = resolve(network.spec, 10_000, "none")
    model = parse_step(build_step(network, home).SerializeToString(), "m.onnx")
    assert model.resolution(1_000).method == "auto"
    assert model.resolution(1_000).normalisation == "matched"
    assert model.resolution(1_000, "none").normalisation == "none"


def test_every_coefficient_is_an_input_with_a_default(content: bytes) -> None:
    model = onnx.load_model_from_string(content)
    defaults = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name for value in model.graph.input}
    step = parse_step(content, "m.onnx")
    assert inputs == set(input_shapes(step.contract))
    needed = inputs - defaults
    assert needed == {"x", *(state.name for state in step.contract.states)}
    assert "layer0.W" not in inputs


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"cannot read the model .*none\.onnx: No such file"):
        load_step(tmp_path / "none.onnx")


@pytest.mark.parametrize("bad", [b"", b"not a model", b"\x00" * 100])
def test_a_file_that_is_no_model_says_so(bad: bytes) -> None:
    with pytest.raises(ContractError, match=r"m\.onnx is no ONNX model, or is truncated"):
        parse_step(bad, "m.onnx")


def test_a_foreign_model_is_told_to_export() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out])
    with pytest.raises(ContractError, match="no Retempo contract, so its time step is unknown"):
        parse_step(helper.make_model(graph).SerializeToString(), "foreign.onnx")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("version", 2, "contract version 2, this Retempo reads 1"),
        ("resolution.lag", 0, r"resolution\.lag is 0"),
        ("resolution.lag", 3, "states are not those of its layers"),
        ("resolution.substeps", 5, "says substeps 5, lag from 10000 to 1000 us has 1"),
        ("resolution.method", "integral", "says lag 10, integral from 10000 to 1000 us has 1"),
        ("resolution.target_dt_us", 10**30, "a time step is a positive number of whole us"),
        (
            "resolution.statistics",
            {"dt_us": 1_000, "bins": 100, "mean": [0.0] * 16, "variance": [1.0] * 16},
            "normalisation is paper; only measured has statistics",
        ),
        ("resolution.method", "best", "unknown method 'best'"),
        ("resolution.normalisation", "none", r"the graph's layer0\.gain is not what its contract"),
        ("readout.tau_us.0", 1.0, "readout is not that of its last layer"),
        ("network.layers.0.threshold", 2.0, r"the graph's layer0\.threshold is not what"),
        ("network.source_dt_us", 0, "source_dt_us is 0"),
        ("network.source_dt_us", 10**30, "expected at least 1 and at most a day"),
        ("network.input.bin_unit_us", 10**30, "expected at least 1 and at most a day"),
        ("network.input_correlation", [], "input_correlation is no autocorrelation"),
        ("network.layers.0.neurons", 17, "17 neurons and 16 values"),
        ("network.layers.0.neuron", "lif", "parameters"),
        ("network.labels", ["a"], "4 outputs, but 1 labels"),
        ("network.input.downsample", 2, "layer0 has 60 inputs"),
        ("network.input.bin_mode", "median", "damaged contract"),
        ("network.input.bin_unit_us", 0, "bin_unit_us is 0, expected at least 1"),
        ("network.input.occupancy", 1.0, "occupancy is 1.0, expected between 0 and 1"),
        ("network.extra", 1, "damaged contract"),
    ],
)
def test_a_contract_that_cannot_be_kept_is_refused(
    content: bytes, key: str, value: object, message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        parse_step(changed(content, key, value), "m.onnx")


def test_a_file_from_before_bin_modes_still_loads(content: bytes) -> None:
    model = onnx.load_model_from_string(content)
    contract = msgspec.json.decode(model.metadata_props[0].value)
    for key in ("bin_unit_us", "occupancy"):
        del contract["network"]["input"][key]
    del contract["resolution"]["statistics"]
    helper.set_model_props(model, {METADATA_KEY: msgspec.json.encode(contract).decode()})
    old = parse_step(model.SerializeToString(), "m.onnx")
    assert old.contract == parse_step(content, "m.onnx").contract


def test_a_graph_that_breaks_its_contract_is_refused(content: bytes) -> None:
    model = onnx.load_model_from_string(content)
    model.graph.output[0].name = "z"
    with pytest.raises(ContractError, match="the graph has no output"):
        parse_step(model.SerializeToString(), "m.onnx")
    model = onnx.load_model_from_string(content)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 61
    with pytest.raises(ContractError, match=r"input x has the shape \(-1, 61\), its contract"):
        parse_step(model.SerializeToString(), "m.onnx")


def test_a_rule_that_was_chosen_stays_through_other_methods() -> None:
    network = make_network()
    chosen = resolve(network.spec, 10_000, "integral", "none")
    model = parse_step(build_step(network, chosen).SerializeToString(), "m.onnx")
    for method in (None, "lag", "integral", "euler"):
        assert model.resolution(1_000, method).normalisation == "none"
    assert model.resolution(1_000, "lag", "paper").normalisation == "paper"


def test_weights_in_another_file_are_refused(content: bytes) -> None:
    model = onnx.load_model_from_string(content)
    tensor = model.graph.initializer[-1]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    with pytest.raises(ContractError, match=r"keeps .* in another file"):
        parse_step(model.SerializeToString(), "m.onnx")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(content: bytes, value: float) -> None:
    names = [t.name for t in onnx.load_model_from_string(content).graph.initializer]
    weights = [name for name in names if name.endswith((".W", ".V"))]
    assert len(weights) == 5
    for name in weights:
        model = onnx.load_model_from_string(content)
        (tensor,) = (each for each in model.graph.initializer if each.name == name)
        numbers = numpy_helper.to_array(tensor).copy()
        numbers.reshape(-1)[-1] = value
        tensor.CopyFrom(numpy_helper.from_array(numbers, name))
        with pytest.raises(ContractError, match=f"m.onnx: the weights {name} hold NaN"):
            parse_step(model.SerializeToString(), "m.onnx")


def test_a_data_type_that_onnx_has_not_is_refused(content: bytes) -> None:
    for place in range(len(onnx.load_model_from_string(content).graph.initializer)):
        model = onnx.load_model_from_string(content)
        model.graph.initializer[place].data_type = 29
        with pytest.raises(ContractError, match="no valid ONNX graph"):
            parse_step(model.SerializeToString(), "m.onnx")


mutations = st.tuples(st.floats(0.0, 1.0, exclude_max=True), st.integers(0, 255))


@settings(max_examples=300)
@given(st.lists(mutations, min_size=1, max_size=4))
def test_mutated_bytes_are_refused_by_name_or_harmless(changes: list[tuple[float, int]]) -> None:
    content = small_model()
    mutated = bytearray(content)
    for place, value in changes:
        mutated[int(place * len(content))] = value
    refusal = ""
    try:
        parse_step(bytes(mutated), "m.onnx")
    except ExportError as error:
        refusal = str(error)
    assert "\n" not in refusal


def test_an_export_into_a_missing_folder_says_so_and_writes_nothing(tmp_path: Path) -> None:
    network = make_network()
    with pytest.raises(NetworkError, match=r"cannot write .*: No such file"):
        write_step(network, resolve(network.spec, 1_000, "lag"), tmp_path / "no" / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dt_us", [0, -5, 86_400_000_001, 10**30])
def test_a_time_step_is_positive_and_ends_within_a_day(dt_us: int) -> None:
    with pytest.raises(AdaptationError, match="positive number of whole us"):
        resolve(make_network().spec, dt_us, "integral")
