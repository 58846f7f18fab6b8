"""Build the ONNX step function: `(coefficients, state, x) -> (state, y)`.

A layer of the graph is the general neuron and nothing else, so that other small vectors make any
other resolution of it. The coefficients are initializers that are inputs too: plain ONNX Runtime
runs the file as it is, an engine binds others at no cost a step.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from retempo.exporters.connections import add_product
from retempo.exporters.contract import METADATA_KEY, contract_of, encode_contract
from retempo.exporters.description import LayerSpec, connection_of
from retempo.exporters.errors import NetworkError
from retempo.exporters.files import write_atomically
from retempo.exporters.graph_upswing import add_upswing
from retempo.exporters.network import Network, check
from retempo.exporters.neurons import Neuron, neuron_named
from retempo.exporters.resolution import LayerResolution, Resolution

# Old enough for every runtime in the field, new enough for all that the step uses.
OPSET = 17
IR_VERSION = 8

_FLOAT = TensorProto.FLOAT
_BATCH = "batch"


def write_step(network: Network, resolution: Resolution, path: Path) -> None:
    """Write the step function of a network at a resolution.

    Raises:
        NetworkError: the network is inconsistent, or the file cannot be written.
    """
    content = build_step(network, resolution).SerializeToString()
    try:
        write_atomically(path, content)
    except OSError as error:
        raise NetworkError(f"cannot write {path}: {error.strerror}") from error


def build_step(network: Network, resolution: Resolution) -> onnx.ModelProto:
    """Return the step function as an ONNX model, weights and contract inside.

    Raises:
        NetworkError: the network is inconsistent.
    """
    check(network)
    graph = _Graph()
    signal = "x"
    graph.input("x", [_BATCH, network.spec.input.size])
    for layer, coefficients in zip(network.spec.layers, resolution.layers, strict=True):
        signal = _add_layer(graph, layer, coefficients, signal, network)
    graph.node("Softmax", [signal], "y", axis=-1)
    graph.output("y", [_BATCH, len(network.spec.labels)])
    model = graph.model()
    contract = encode_contract(contract_of(network.spec, resolution))
    helper.set_model_props(model, {METADATA_KEY: contract})
    onnx.checker.check_model(model, full_check=True)
    return model


def coefficients_of(neuron: Neuron) -> tuple[str, ...]:
    """Return the coefficients that a layer of this neuron has in the graph."""
    spiking = ("R", "threshold") if neuron.spiking else ()
    recurrent = ("G",) if neuron.recurrent else ()
    nonlinear = () if neuron.upswing is None else ("N",)
    return ("A", "F", "gain", "bias", *spiking, *recurrent, *nonlinear)


def graph_coefficients(neuron: Neuron, layer: LayerResolution) -> dict[str, NDArray[np.float32]]:
    """Return a layer's coefficients as the graph takes them: named, float32, with a batch axis.

    Shapes: `A` `(variables, variables, 1, neurons)`; `R`, `F`, `G`, `N` `(variables, 1, neurons)`;
    `gain`, `bias`, `threshold` `(neurons,)`.
    """
    arrays = {}
    for name in coefficients_of(neuron):
        values = np.asarray(getattr(layer, name), np.float32)
        if name in "ARFGN":
            values = np.expand_dims(values, -2)
        arrays[f"{layer.name}.{name}"] = np.ascontiguousarray(values)
    return arrays


def _add_layer(
    graph: "_Graph", layer: LayerSpec, coefficients: LayerResolution, signal: str, network: Network
) -> str:
    """Add one layer; returns the name of what it hands on: its spikes, or the readout's u."""
    name, neuron = layer.name, neuron_named(layer.neuron)
    for key, values in graph_coefficients(neuron, coefficients).items():
        graph.coefficient(key, values)
    state, spikes = f"{name}.state", f"{name}.spikes"
    W = graph.constant(f"{name}.W", network.weights[f"{name}.W"])
    graph.input(state, [neuron.variables, _BATCH, layer.neurons])

    product = add_product(graph, name, connection_of(layer), W, signal)
    graph.node("Mul", [product, f"{name}.gain"], f"{name}.scaled")
    graph.node("Add", [f"{name}.scaled", f"{name}.bias"], f"{name}.current")
    graph.node("Mul", [f"{name}.A", state], f"{name}.coupled")
    graph.node("ReduceSum", [f"{name}.coupled", graph.axis(1)], f"{name}.free", keepdims=0)
    graph.node("Mul", [f"{name}.F", f"{name}.current"], f"{name}.forward")
    terms = [f"{name}.forward"]
    if neuron.spiking:
        graph.input(spikes, [_BATCH, layer.neurons])
        graph.node("Mul", [f"{name}.R", spikes], f"{name}.reset")
        terms.append(f"{name}.reset")
    if neuron.recurrent:
        graph.constant(f"{name}.V", network.weights[f"{name}.V"])
        graph.node("MatMul", [spikes, f"{name}.V"], f"{name}.heard")
        graph.node("Mul", [f"{name}.G", f"{name}.heard"], f"{name}.recurrent")
        terms.append(f"{name}.recurrent")
    if neuron.upswing is not None:
        add_upswing(graph, name, neuron.upswing)
        terms.append(f"{name}.upswing")
    total = f"{name}.free"
    for term in terms:
        result = f"{state}_next" if term == terms[-1] else f"{term}_sum"
        graph.node("Add", [total, term], result)
        total = result
    graph.output(f"{state}_next", [neuron.variables, _BATCH, layer.neurons])
    graph.node("Gather", [f"{state}_next", graph.first()], f"{name}.u", axis=0)
    if not neuron.spiking:
        return f"{name}.u"
    graph.node("Greater", [f"{name}.u", f"{name}.threshold"], f"{name}.above")
    graph.node("Cast", [f"{name}.above"], f"{spikes}_next", to=_FLOAT)
    graph.output(f"{spikes}_next", [_BATCH, layer.neurons])
    return f"{spikes}_next"


class _Graph:
    """What is being built; turned into a model at the end."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._coefficients: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: list[int | str]) -> None:
        self._inputs.append(helper.make_tensor_value_info(name, _FLOAT, shape))

    def output(self, name: str, shape: list[int | str]) -> None:
        self._outputs.append(helper.make_tensor_value_info(name, _FLOAT, shape))

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        self._initializers[name] = numpy_helper.from_array(np.asarray(values, order="C"), name)
        return name

    def coefficient(self, name: str, values: NDArray[np.float32]) -> None:
        self.constant(name, values)
        self._coefficients.append(helper.make_tensor_value_info(name, _FLOAT, values.shape))

    def axis(self, axis: int) -> str:
        return self.constant(f"axis_{axis}", np.array([axis], np.int64))

    def first(self) -> str:
        return self.constant("first", np.array(0, np.int64))

    def node(
        self, operator: str, inputs: list[str], output: str, **attributes: int | list[int]
    ) -> None:
        node = helper.make_node(operator, inputs, [output], output)
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        self._nodes.append(node)

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "retempo_step",
            self._inputs + self._coefficients,
            self._outputs,
            list(self._initializers.values()),
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="retempo",
        )
