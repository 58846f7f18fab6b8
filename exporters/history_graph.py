"""Put the lag into a step graph: a layer's past spikes become one tensor that the graph shifts.

`<layer>.history`, `(places, batch, neurons)`, holds the spikes of the last steps, newest first, as
a saved state does. The graph reads from it what it hears and gives back the next one, so that
whoever runs it has no ring to turn.
"""

import math

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from retempo.exporters.contract import StateSpec

TAPS = "taps"


def history_name(spec: StateSpec) -> str:
    """Return the name of a layer's history; its next has the suffix `_next`."""
    return spec.name.replace(".spikes", ".history")


def fixed_taps(graph: GraphProto, specs: list[StateSpec], lag: float) -> list[NodeProto]:
    """Return the nodes that hear the spikes of `lag` steps ago, as the engines weigh them."""
    places, newer = math.ceil(lag), np.float32(math.ceil(lag) - lag)
    older_at = _constant(graph, "older_at", np.array(places - 1, np.int64))
    if not newer:
        return [
            helper.make_node("Gather", [history_name(spec), older_at], [spec.name], axis=0)
            for spec in specs
        ]
    newer_at = _constant(graph, "newer_at", np.array(places - 2, np.int64))
    weighs = _constant(graph, "newer_weighs", newer)
    left = _constant(graph, "older_weighs", np.float32(1.0) - newer)
    nodes = []
    for spec in specs:
        history, heard = history_name(spec), spec.name
        nodes += [
            helper.make_node("Gather", [history, older_at], [f"{heard}_older"], axis=0),
            helper.make_node("Gather", [history, newer_at], [f"{heard}_newer"], axis=0),
            helper.make_node("Mul", [f"{heard}_older", left], [f"{heard}_older_part"]),
            helper.make_node("Mul", [f"{heard}_newer", weighs], [f"{heard}_newer_part"]),
            helper.make_node("Add", [f"{heard}_older_part", f"{heard}_newer_part"], [heard]),
        ]
    return nodes


def bound_taps(graph: GraphProto, specs: list[StateSpec]) -> list[NodeProto]:
    """Return the nodes that hear the history weighted by the input `taps`, `(places, 1, 1)`.

    So a graph serves every lag up to its places, and none of its shapes changes with it.
    """
    axis = _constant(graph, "taps_axis", np.array([0], np.int64))
    nodes = []
    for spec in specs:
        tapped = f"{spec.name}_tapped"
        nodes += [
            helper.make_node("Mul", [history_name(spec), TAPS], [tapped]),
            helper.make_node("ReduceSum", [tapped, axis], [spec.name], keepdims=0),
        ]
    return nodes


def taps_of(lag: float, places: int) -> NDArray[np.float32]:
    """Return what each step of a history weighs in what is heard, `(places, 1, 1)`."""
    taps = np.zeros((places, 1, 1), np.float32)
    newer = np.float32(math.ceil(lag) - lag)
    taps[math.ceil(lag) - 1] = np.float32(1.0) - newer
    if newer:
        taps[math.ceil(lag) - 2] = newer
    return taps


def shift(graph: GraphProto, specs: list[StateSpec], *, alone: bool) -> list[NodeProto]:
    """Return the nodes that put a step's spikes foremost and let the oldest go.

    `alone` says that a history is one step long: there is none that stays.
    """
    axis, zero, end = (
        _constant(graph, name, np.array([value], np.int64))
        for name, value in (("shift_axis", 0), ("shift_from", 0), ("shift_to", -1))
    )
    nodes = []
    for spec in specs:
        history = history_name(spec)
        newest = f"{history}_next" if alone else f"{history}_newest"
        nodes.append(helper.make_node("Unsqueeze", [spec.next, axis], [newest]))
        if not alone:
            kept = f"{history}_kept"
            nodes += [
                helper.make_node("Slice", [history, zero, end, axis], [kept]),
                helper.make_node("Concat", [newest, kept], [f"{history}_next"], axis=0),
            ]
    return nodes


def history_info(
    spec: StateSpec, places: int | str, batch: int | str, suffix: str = ""
) -> ValueInfoProto:
    """Return a history as an input of a graph, or with a suffix as an output."""
    shape: list[int | str] = [places, batch, spec.shape[-1]]
    name = history_name(spec) + suffix
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _constant(graph: GraphProto, name: str, values: NDArray[np.generic] | np.generic) -> str:
    if all(tensor.name != name for tensor in graph.initializer):
        graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return name
