"""What a model file may hold: the operators that Retempo's exporters write, inline, within limits.

Looked at before anything else reads the graph: what is foreign is refused by name.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from retempo.exporters.errors import OperatorError

# `step_graph`, `graph_upswing`, `connections` and `history_graph`, and no more.
OPERATORS = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Neg", "Pow", "Exp", "Max", "Min", "Greater", "Cast"),
        *("MatMul", "Conv", "MaxPool", "AveragePool", "ReduceSum", "Softmax"),
        *("Gather", "Slice", "Concat", "Reshape", "Flatten", "Unsqueeze"),
    }
)
_DOMAINS = ("", "ai.onnx")
_BYTES: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.DOUBLE: 8,
    TensorProto.INT32: 4,
    TensorProto.INT64: 8,
    TensorProto.BOOL: 1,
    TensorProto.FLOAT16: 2,
}
_GRAPHS = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
_TENSORS = (AttributeProto.TENSOR, AttributeProto.TENSORS)
_PLAIN = (
    AttributeProto.INT,
    AttributeProto.INTS,
    AttributeProto.FLOAT,
    AttributeProto.FLOATS,
    AttributeProto.STRING,
)
_LONGEST_NAME = 1_024
# Whatever a dimension stands for, it is counted by far less.
_LARGEST_SIDE = 1 << 31


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a model may be; `operators` are allowed besides `OPERATORS`.

    They are other ways to write the network of the contract, as an optimizer of graphs may do: what
    the graph computes is held against that all the same.
    """

    bytes: int = 1 << 30
    nodes: int = 100_000
    tensor_bytes: int = 1 << 30
    operators: frozenset[str] = field(default_factory=frozenset)


def check_operators(model: ModelProto, name: str, limits: Limits) -> None:
    """Check that a model holds nothing but what it may.

    Args:
        model: as it was read.
        name: its name, for messages.
        limits: what it may be.

    Raises:
        OperatorError: a custom domain, an operator, a function, a subgraph, a tensor in another
            file, an odd name, or too much of something; the text says which and where.
    """
    for entry in model.opset_import:
        if entry.domain not in _DOMAINS:
            raise OperatorError(f"{name} imports the domain {entry.domain!r}; ONNX's own alone is")
    if len(model.functions):
        raise OperatorError(f"{name} defines functions; a step has none, export it again")
    if len(model.training_info):
        raise OperatorError(f"{name} carries a training graph; a step has none, export it again")
    graph = model.graph
    if len(graph.node) > limits.nodes:
        raise OperatorError(f"{name} has {len(graph.node):,} nodes, at most {limits.nodes:,}")
    if len(graph.sparse_initializer):
        raise OperatorError(f"{name} holds sparse tensors; a step has none, export it again")
    for node in graph.node:
        _check_node(node, name, limits)
    total = sum(_check_tensor(tensor, name, limits) for tensor in graph.initializer)
    if total > limits.bytes:
        raise OperatorError(f"{name} holds {total:,} bytes of tensors, at most {limits.bytes:,}")
    _check_names(_names(graph), name)
    _check_sides(graph, name)


def check_allowed(operators: Iterable[str]) -> None:
    """Check operators that are to be allowed besides `OPERATORS`: no model could hold any other.

    Raises:
        OperatorError: ONNX does not have one of them, or it holds a graph.
    """
    for operator in operators:
        unfit = _unfit(operator)
        if unfit:
            raise OperatorError(f"{operator!r} cannot be allowed: {unfit}")


def _unfit(operator: str) -> str:
    """Return why an operator can be in no step, empty if it can."""
    if not onnx.defs.has(operator):
        return "ONNX has no operator of that name"
    attributes = onnx.defs.get_schema(operator).attributes.values()
    kinds = (onnx.defs.OpSchema.AttrType.GRAPH, onnx.defs.OpSchema.AttrType.GRAPHS)
    if any(attribute.type in kinds for attribute in attributes):
        return "it holds a graph, and a step has none"
    return ""


def _check_node(node: NodeProto, name: str, limits: Limits) -> None:
    if node.domain not in _DOMAINS:
        raise OperatorError(
            f"{name}: the operator {node.op_type} is of the domain {node.domain!r}; custom "
            "operators are not run"
        )
    if node.op_type not in OPERATORS and node.op_type not in limits.operators:
        advice = _unfit(node.op_type) or (
            "if it is a way of your own to write the same network, add it to [models] operators"
        )
        raise OperatorError(
            f"{name} uses the operator {node.op_type!r}, which no step of Retempo has; {advice}"
        )
    for attribute in node.attribute:
        if attribute.type in _GRAPHS or attribute.HasField("g") or len(attribute.graphs):
            raise OperatorError(
                f"{name}: {node.op_type} holds a graph in {attribute.name}; a step has none"
            )
        tensors = [attribute.t] if attribute.HasField("t") else []
        for tensor in (*tensors, *attribute.tensors):
            _check_tensor(tensor, name, limits)
        if attribute.ref_attr_name or attribute.type not in (*_PLAIN, *_TENSORS):
            raise OperatorError(
                f"{name}: {node.op_type} holds {attribute.name}, which is no plain value"
            )


def _check_tensor(tensor: TensorProto, name: str, limits: Limits) -> int:
    """Check a tensor; returns the bytes that it says it has."""
    if tensor.data_location == TensorProto.EXTERNAL or len(tensor.external_data):
        places = [e.value for e in tensor.external_data if e.key == "location"]
        where = f" {places[0]!r}" if places else ""
        raise OperatorError(
            f"{name} keeps {tensor.name} in another file{where}; a model carries its weights "
            "inside: export it again with external_data=False"
        )
    if tensor.data_type not in _BYTES:
        raise OperatorError(
            f"{name}: {tensor.name} has the data type {tensor.data_type}, which no step has; this "
            "is no valid ONNX graph of ours"
        )
    if any(side < 0 for side in tensor.dims):
        raise OperatorError(f"{name}: {tensor.name} has a negative side, {list(tensor.dims)}")
    size: int = prod(tensor.dims) * _BYTES[tensor.data_type]
    if size > limits.tensor_bytes:
        raise OperatorError(
            f"{name}: {tensor.name} says it has {size:,} bytes, at most {limits.tensor_bytes:,}"
        )
    if tensor.HasField("raw_data") and len(tensor.raw_data) != size:
        raise OperatorError(
            f"{name}: {tensor.name} has {len(tensor.raw_data):,} bytes, its shape says {size:,}"
        )
    return size


def _names(graph: GraphProto) -> Iterable[str | bytes]:
    yield graph.name
    for node in graph.node:
        yield from (node.name, *node.input, *node.output)
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield value.name


def _check_names(names: Iterable[str | bytes], name: str) -> None:
    for each in names:
        if not isinstance(each, str):  # what is no UTF-8 comes as it is
            raise OperatorError(f"{name} holds the name {each!r:.40}, which is no UTF-8 text")
        parts = each.replace("\\", "/").split("/")
        if len(each) > _LONGEST_NAME or ".." in parts or not each.isprintable():
            raise OperatorError(
                f"{name} holds the name {each[:40]!r}; a name is printable, at most "
                f"{_LONGEST_NAME:,} characters long, and no path out of a folder"
            )


def _check_sides(graph: GraphProto, name: str) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info):
        for side in value.type.tensor_type.shape.dim:
            if side.HasField("dim_value") and not 0 <= side.dim_value <= _LARGEST_SIDE:
                raise OperatorError(
                    f"{name}: {value.name} has a side of {side.dim_value:,}, expected at most "
                    f"{_LARGEST_SIDE:,}"
                )


def screen(content: bytes, name: str, limits: Limits) -> None:
    """As `check_operators`, from a file's bytes; what is no model at all is left to `parse_step`.

    Raises:
        OperatorError: as `check_operators`, or the file is too large.
    """
    if len(content) > limits.bytes:
        raise OperatorError(
            f"{name} has {len(content):,} bytes, at most {limits.bytes:,}; raise [models] "
            "most_bytes if it is your own"
        )
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        return
    try:
        check_operators(model, name, limits)
    except UnicodeDecodeError as error:
        raise OperatorError(f"{name} holds a name that is no UTF-8 text: {error.reason}") from error
