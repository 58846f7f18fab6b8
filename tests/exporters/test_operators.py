"""What a model file may hold: all that our exporters write, and nothing else."""

from collections.abc import Callable

import onnx
import pytest
from onnx import TensorProto, helper

from retempo.exporters.description import GridSpec
from retempo.exporters.errors import OperatorError
from retempo.exporters.neurons import NEURONS
from retempo.exporters.operators import (
    OPERATORS,
    Limits,
    check_allowed,
    check_operators,
    screen,
)
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from tests.builders import SPIKING, make_network
from tests.conv_builders import make_conv_network

Model = onnx.ModelProto


@pytest.fixture
def model() -> Model:
    network = make_network(hidden=(3,), geometry=GridSpec(2, 2, 1), labels=2)
    return build_step(network, resolve(network.spec, 1_000, "lag"))


@pytest.mark.parametrize("neuron", SPIKING)
def test_every_neuron_of_ours_is_allowed(neuron: str) -> None:
    assert neuron in NEURONS
    network = make_network(neuron, hidden=(3,))
    method = "integral" if NEURONS[neuron].upswing is None else "euler"
    check_operators(build_step(network, resolve(network.spec, 5_000, method)), "m", Limits())


def test_every_connection_of_ours_is_allowed() -> None:
    network = make_conv_network()
    check_operators(build_step(network, resolve(network.spec, 5_000, "integral")), "m", Limits())


def node_of(operator: str, domain: str = "") -> Callable[[Model], None]:
    return lambda m: m.graph.node.append(helper.make_node(operator, ["x"], ["z"], domain=domain))


def external(model: Model, location: str) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def subgraph(model: Model) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("body", onnx.GraphProto(name="g")))


def hidden_tensor(model: Model) -> None:
    tensor = onnx.TensorProto(name="t", data_type=1, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node[0].attribute.append(helper.make_attribute("value", tensor))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (node_of("Identity"), "m uses the operator 'Identity', which no step of Retempo has"),
        (node_of("If"), "uses the operator 'If'"),
        (node_of("Add", "com.evil"), r"Add is of the domain 'com\.evil'; custom operators"),
        (lambda m: m.opset_import.append(helper.make_opsetid("x", 1)), "imports the domain 'x'"),
        (lambda m: m.functions.add(name="f"), "defines functions"),
        (lambda m: m.training_info.add(), "training graph"),
        (subgraph, "holds a graph in body"),
        (hidden_tensor, "keeps t in another file '/etc/passwd'"),
        (lambda m: external(m, "../../w.bin"), r"in another file '\.\./\.\./w\.bin'"),
        (lambda m: external(m, "/etc/passwd"), "in another file '/etc/passwd'"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse tensors"),
        (lambda m: m.graph.initializer[0].dims.insert(0, 2**40), "says it has .* bytes, at most"),
        (lambda m: m.graph.initializer[0].dims.insert(0, -1), "a negative side"),
        (lambda m: m.graph.initializer[0].dims.insert(0, 2), "bytes, its shape says"),
        (lambda m: setattr(m.graph.initializer[0], "data_type", 8), "the data type 8"),
        (lambda m: setattr(m.graph.node[0], "name", "../../x"), r"holds the name '\.\./\.\./x'"),
        (lambda m: setattr(m.graph.node[0], "name", "a\0"), "a name is printable"),
    ],
)
def test_what_we_do_not_write_is_refused_by_name(
    model: Model, change: Callable[[Model], None], message: str
) -> None:
    check_operators(model, "m", Limits())
    change(model)
    with pytest.raises(OperatorError, match=message):
        check_operators(model, "m", Limits())


def test_an_operator_can_be_allowed_by_name_but_no_graph_within_it(model: Model) -> None:
    own = Limits(operators=frozenset({"Identity", "If"}))
    node_of("Identity")(model)
    check_operators(model, "m", own)
    node_of("If")(model)
    branch = helper.make_attribute("then_branch", onnx.GraphProto(name="g"))
    model.graph.node[-1].attribute.append(branch)
    with pytest.raises(OperatorError, match="If holds a graph in then_branch"):
        check_operators(model, "m", own)


@pytest.mark.parametrize(
    ("operator", "reason"),
    [
        ("If", "it holds a graph, and a step has none"),
        ("Scan", "it holds a graph"),
        ("identity", "ONNX has no operator of that name"),
        ("com.evil.Run", "ONNX has no operator of that name"),
    ],
)
def test_what_no_step_could_hold_cannot_be_allowed(
    model: Model, operator: str, reason: str
) -> None:
    check_allowed(["Identity", "Gemm", "Where", *OPERATORS])
    with pytest.raises(OperatorError, match=f"'{operator}' cannot be allowed: {reason}"):
        check_allowed(["Identity", operator])
    node_of(operator)(model)
    with pytest.raises(OperatorError, match=f"{operator}', which no step of Retempo has; {reason}"):
        check_operators(model, "m", Limits())


def test_sizes_are_limited(model: Model) -> None:
    content = model.SerializeToString()
    with pytest.raises(OperatorError, match="bytes, at most 100; raise"):
        screen(content, "m", Limits(bytes=100))
    with pytest.raises(OperatorError, match="nodes, at most 3"):
        screen(content, "m", Limits(nodes=3))
    screen(content, "m", Limits())
