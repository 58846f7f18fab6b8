"""The step graph as a device runs it: with its past spikes and its counts among its states.

Each spiking layer has `<layer>.history`, `(places, batch, neurons)`, the spikes of the last steps,
newest first, and `<layer>.total`, `(batch, neurons)`: how often each neuron fired since the scalar
`keep` was last 0. Every state has a `_next`.
"""

import onnx
from onnx import TensorProto, helper

from retempo.exporters.contract import Contract, StateSpec
from retempo.exporters.history_graph import TAPS, bound_taps, history_info, history_name, shift
from retempo.exporters.step_model import StepModel
from retempo.runtime.engines.saved import is_spikes, shape_of

KEEP = "keep"


def total_name(spec: StateSpec) -> str:
    """Return the name of a layer's counts."""
    return spec.name.replace(".spikes", ".total")


def device_shapes(contract: Contract, batch: int, places: int) -> dict[str, tuple[int, ...]]:
    """Return every state of the device's graph and its shape."""
    shapes: dict[str, tuple[int, ...]] = {}
    for spec in contract.states:
        shape = shape_of(spec, batch)
        if is_spikes(spec):
            shapes[history_name(spec)] = (places, *shape)
            shapes[total_name(spec)] = shape
        else:
            shapes[spec.name] = shape
    return shapes


def device_graph(model: StepModel) -> bytes:
    """Return the device's graph of a model, for histories of any length above 1."""
    proto = onnx.load_model_from_string(model.content)
    graph = proto.graph
    specs = [spec for spec in model.contract.states if is_spikes(spec)]
    if not specs:
        return model.content
    nodes = [*bound_taps(graph, specs), *graph.node, *shift(graph, specs, alone=False)]
    for spec in specs:
        total = total_name(spec)
        nodes += [
            helper.make_node("Mul", [total, KEEP], [f"{total}_kept"]),
            helper.make_node("Add", [f"{total}_kept", spec.next], [f"{total}_next"]),
        ]
    graph.ClearField("node")
    graph.node.extend(nodes)
    _replace(graph.input, {spec.name: _infos(spec, "") for spec in specs})
    _replace(graph.output, {spec.next: _infos(spec, "_next") for spec in specs})
    graph.input.append(helper.make_tensor_value_info(TAPS, TensorProto.FLOAT, ["places", 1, 1]))
    graph.input.append(helper.make_tensor_value_info(KEEP, TensorProto.FLOAT, []))
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString())


def _infos(spec: StateSpec, suffix: str) -> list[onnx.ValueInfoProto]:
    shape: list[int | str | None] = ["batch", spec.shape[-1]]
    total = helper.make_tensor_value_info(total_name(spec) + suffix, TensorProto.FLOAT, shape)
    return [history_info(spec, "places", "batch", suffix), total]


def _replace(
    values: "list[onnx.ValueInfoProto]", instead: dict[str, list[onnx.ValueInfoProto]]
) -> None:
    kept = []
    for value in values:
        kept += instead.get(value.name, [value])
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in kept]
    del values[:]
    values.extend(copies)
