"""A step graph looped over time inside one ONNX graph: a whole recording in one call.

For bulk replay by plain ONNX Runtime in any language, without a Python call a bin. What the first
layer makes of its input is computed for all bins at once, before the loop: nothing feeds back into
it. Inputs: `x` `(bins, batch, inputs)`; each state under its name in the contract and in the shape
of a saved state, `<layer>.spikes` `(ceil(lag), batch, neurons)` newest first; the coefficients as
in the step. Outputs: `y` `(bins, batch, labels)`, the mean of a bin's inner steps, and
`<state>_next`.
"""

from math import ceil
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from retempo.exporters.contract import SCAN_KEY, StateSpec, contract_of, encode_contract, states_of
from retempo.exporters.errors import NetworkError
from retempo.exporters.files import write_atomically
from retempo.exporters.history_graph import fixed_taps, history_info, shift
from retempo.exporters.network import Network, weight_shapes
from retempo.exporters.resolution import Resolution
from retempo.exporters.step_graph import IR_VERSION, OPSET, build_step

# Names of the loop's body may not hide those round it.
_INNER = "step/"


def write_scan(network: Network, resolution: Resolution, path: Path) -> None:
    """Write the scan of a network at a resolution.

    Raises:
        NetworkError: the network is inconsistent, or the file cannot be written.
    """
    content = build_scan(network, resolution).SerializeToString()
    try:
        write_atomically(path, content)
    except OSError as error:
        raise NetworkError(f"cannot write {path}: {error.strerror}") from error


def build_scan(network: Network, resolution: Resolution) -> ModelProto:
    """Return the scan as an ONNX model, weights and contract inside.

    Raises:
        NetworkError: the network is inconsistent.
    """
    step = build_step(network, resolution).graph
    states = states_of(network.spec, resolution.lag)
    product = f"{network.spec.layers[0].name}.product"
    cut = next(k for k, node in enumerate(step.node) if node.output[0] == product) + 1
    before, looped, softmax = step.node[:cut], list(step.node[cut:-1]), step.node[-1]
    neurons, labels = network.spec.layers[0].neurons, len(network.spec.labels)

    u = softmax.input[0], labels
    own = {state.name for state in states} | {"x"}
    coefficients = [value for value in step.input if value.name not in own]
    shared = set(weight_shapes(network.spec)) | {value.name for value in coefficients}
    body = _body(step, looped, states, resolution.lag, shared, (product, neurons), u)
    outer = _Outer()
    outer.keep(step, shared, before)
    for node in _rows_of_x(outer, network.spec.input.size, before, product):
        outer.nodes.append(node)
    looped_over = _looped_over(outer, product, neurons, resolution.substeps)
    outer.nodes.append(
        helper.make_node(
            "Scan",
            [*(state.name for state in states), looped_over],
            [*(state.next for state in states), "u"],
            body=body,
            num_scan_inputs=1,
        )
    )
    _read(outer, labels, resolution.substeps)
    graph = helper.make_graph(
        outer.nodes,
        "retempo_scan",
        [_info("x", ["bins", "batch", network.spec.input.size])]
        + [_state_info(state, state.name, resolution.lag) for state in states]
        + coefficients,
        [_info("y", ["bins", "batch", labels])]
        + [_state_info(state, state.next, resolution.lag) for state in states],
        outer.initializers,
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="retempo"
    )
    helper.set_model_props(
        model, {SCAN_KEY: encode_contract(contract_of(network.spec, resolution))}
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class _Outer:
    """The nodes and initializers round the loop."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []

    def keep(self, step: GraphProto, shared: set[str], nodes: "list[NodeProto]") -> None:
        """Keep the weights, the coefficients, and what some nodes before the loop read."""
        read = {name for node in nodes for name in node.input}
        self.initializers += [t for t in step.initializer if t.name in shared | read]

    def ints(self, name: str, *values: int) -> str:
        array = np.array(values, np.int64)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: int) -> str:
        node = helper.make_node(operator, inputs, [output])
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        self.nodes.append(node)
        return output


def _body(
    step: GraphProto,
    nodes: list[NodeProto],
    states: list[StateSpec],
    lag: float,
    shared: set[str],
    product: tuple[str, int],
    readout: tuple[str, int],
) -> GraphProto:
    """Return one inner step behind the first layer's product, its lag inside."""
    spiking = [state for state in states if len(state.shape) == 2]
    places = ceil(lag)
    graph = GraphProto()
    graph.name = "inner_step"
    read = {name for node in nodes for name in node.input}
    graph.initializer.extend(t for t in step.initializer if t.name in read - shared)
    graph.node.extend(
        [*fixed_taps(graph, spiking, lag), *nodes, *shift(graph, spiking, alone=places == 1)]
    )
    for state in states:
        if state in spiking:
            graph.input.append(history_info(state, places, "batch"))
            graph.output.append(history_info(state, places, "batch", "_next"))
        else:
            graph.input.append(_state_info(state, state.name, lag))
            graph.output.append(_state_info(state, state.next, lag))
    graph.input.append(_info(product[0], ["batch", product[1]]))
    graph.output.append(_info(readout[0], ["batch", readout[1]]))
    _rename(graph, shared)
    return graph


def _rename(graph: GraphProto, shared: set[str]) -> None:
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = _INNER + value.name
    for node in graph.node:
        node.name = ""
        for names in (node.input, node.output):
            names[:] = [name if name in shared else _INNER + name for name in names]


def _rows_of_x(
    outer: _Outer, inputs: int, before: "list[NodeProto]", product: str
) -> list[NodeProto]:
    """Return the nodes of the first product over all bins of all streams as one batch."""
    outer.node("Reshape", ["x", outer.ints("rows_shape", -1, inputs)], "rows")
    nodes = []
    for node in before:
        copied = NodeProto()
        copied.CopyFrom(node)
        copied.input[:] = ["rows" if name == "x" else name for name in node.input]
        copied.output[:] = ["product_rows" if name == product else name for name in node.output]
        nodes.append(copied)
    return nodes


def _looped_over(outer: _Outer, product: str, neurons: int, substeps: int) -> str:
    """Add the nodes that give each inner step its row, `(bins * substeps, batch, neurons)`."""
    outer.node("Shape", ["x"], "batch_side", start=1, end=2)
    sides = ["each_bin", "batch_side", outer.ints("neurons_side", neurons)]
    outer.ints("each_bin", -1)
    outer.node("Concat", sides, "bins_shape", axis=0)
    if substeps == 1:
        return outer.node("Reshape", ["product_rows", "bins_shape"], product)
    outer.node("Reshape", ["product_rows", "bins_shape"], "product_bins")
    outer.node("Unsqueeze", ["product_bins", outer.ints("inner_axis", 1)], "product_bin")
    repeats = outer.ints("inner_repeats", 1, substeps, 1, 1)
    outer.node("Expand", ["product_bin", repeats], "product_inner")
    return outer.node("Reshape", ["product_inner", "bins_shape"], product)


def _read(outer: _Outer, labels: int, substeps: int) -> None:
    """Add the nodes from the readout's potentials to `y`, the mean of a bin's inner steps."""
    if substeps == 1:
        outer.node("Softmax", ["u"], "y", axis=-1)
        return
    outer.node("Softmax", ["u"], "y_inner", axis=-1)
    inner = outer.ints("inner_side", -1, substeps)
    outer.node(
        "Concat", [inner, "batch_side", outer.ints("labels_side", labels)], "y_shape", axis=0
    )
    outer.node("Reshape", ["y_inner", "y_shape"], "y_bins")
    outer.nodes.append(helper.make_node("ReduceMean", ["y_bins"], ["y"], axes=[1], keepdims=0))


def _info(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _state_info(state: StateSpec, name: str, lag: float) -> onnx.ValueInfoProto:
    shape: list[int | str] = ["batch" if side == -1 else side for side in state.shape]
    return _info(name, [ceil(lag), *shape] if len(shape) == 2 else shape)
