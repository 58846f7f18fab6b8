"""Damaged models: each a number, so that one can be made again alone."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import onnx
from onnx import TensorProto, helper

from retempo.exporters.contract import METADATA_KEY

Model = onnx.ModelProto
Mutation = Callable[[Model, random.Random], None]
_ODD_NAMES = ("../../etc/passwd", "/etc/passwd", "a\0b", "x" * 2_000, "", "..\\..\\x", "\x1b[2J")
_ODD_NUMBERS: tuple[object, ...] = (
    *(-1, 0, 1, 2**31, 2**40, 2**63 - 1, -(2**63), 1e308, float("-0")),
    *(None, "x", [], {}),
)
_FOREIGN = ("Loop", "If", "Scan", "Identity", "Constant", "RandomNormal", "MatMulInteger", "Nope")
_MOST_BYTES = 64


@dataclass(frozen=True)
class Damaged:
    """A damaged model, by what was done to it."""

    number: int
    kind: str
    content: bytes


def damaged(number: int, seeds: list[bytes], base: int = 0) -> Damaged:
    """Return model `number` of a base."""
    rng = random.Random(f"{base}-{number}")  # noqa: S311
    content = rng.choice(seeds)
    kind = rng.choice(list(_KINDS))
    return Damaged(number, kind, _KINDS[kind](content, rng))


def _bytes_flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, _MOST_BYTES))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _stretch_moved(content: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(content))
    stretch = content[begin : begin + rng.randrange(1, 4_096)]
    match rng.randrange(4):
        case 0:
            return content[:begin]
        case 1:
            return content[:begin] + content[begin + len(stretch) :]
        case 2:
            return content[:begin] + stretch + content[begin:]
        case _:
            at = rng.randrange(len(content))
            return content[:at] + stretch + content[at + len(stretch) :]


def _by(change: Mutation) -> Callable[[bytes, random.Random], bytes]:
    def apply(content: bytes, rng: random.Random) -> bytes:
        model = onnx.load_model_from_string(content)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            # What has been damaged may not be there to be damaged further.
            with suppress(ValueError, IndexError, KeyError, TypeError, StopIteration):
                change(model, rng)
        return bytes(model.SerializeToString())

    return apply


def _graph_rewired(model: Model, rng: random.Random) -> None:
    graph, node = model.graph, rng.choice(model.graph.node)
    names = [name for each in graph.node for name in (*each.input, *each.output)]
    match rng.randrange(7):
        case 0 if node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(names)
        case 1 if node.output:
            node.output[0] = rng.choice(names)
        case 2:
            graph.node.remove(node)
        case 3:
            graph.node.append(node)
        case 4:
            one, other = rng.sample(range(len(graph.node)), 2)
            kept = onnx.NodeProto()
            kept.CopyFrom(graph.node[one])
            graph.node[one].CopyFrom(graph.node[other])
            graph.node[other].CopyFrom(kept)
        case 5 if len(node.input) > 1:
            node.input[0], node.input[1] = node.input[1], node.input[0]
        case _:
            node.op_type = rng.choice(("Add", "Sub", "Mul", "Div", "Max", "Min", "MatMul", "Pow"))


def _operator_foreign(model: Model, rng: random.Random) -> None:
    node = rng.choice(model.graph.node)
    match rng.randrange(5):
        case 0:
            node.op_type = rng.choice(_FOREIGN)
        case 1:
            node.domain = rng.choice(("com.evil", "ai.onnx.ml", "com.microsoft"))
        case 2:
            node.attribute.append(helper.make_attribute("body", onnx.GraphProto(name="g")))
        case 3:
            model.opset_import.append(helper.make_opsetid("com.evil", 1))
        case _:
            model.functions.append(onnx.FunctionProto(name="f", domain="com.evil"))


def _weights_altered(model: Model, rng: random.Random) -> None:
    tensor = rng.choice(model.graph.initializer)
    match rng.randrange(6):
        case 0 if len(tensor.raw_data) >= 4:
            raw = bytearray(tensor.raw_data)
            at = rng.randrange(len(raw) // 4) * 4
            # NaN, infinities, the largest number, a subnormal one.
            odd = ("0000c07f", "0000807f", "000080ff", "ffff7f7f", "01000000")
            raw[at : at + 4] = bytes.fromhex(rng.choice(odd))
            tensor.raw_data = bytes(raw)
        case 1:
            tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]
        case 2:
            tensor.data_type = rng.randrange(30)
        case 3:
            model.graph.initializer.remove(tensor)
        case 4:
            tensor.name = rng.choice(model.graph.initializer).name
        case _:
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=rng.choice(_ODD_NAMES[:3]))


def _sides_huge(model: Model, rng: random.Random) -> None:
    side = rng.choice((0, -1, 1, 2**20, 2**31, 2**40, 2**62))
    if rng.random() < 0.5:
        tensor = rng.choice([t for t in model.graph.initializer if t.dims])
        tensor.dims[rng.randrange(len(tensor.dims))] = side
    else:
        value = rng.choice([*model.graph.input, *model.graph.output])
        rng.choice(value.type.tensor_type.shape.dim).dim_value = side


def _names_odd(model: Model, rng: random.Random) -> None:
    name = rng.choice(_ODD_NAMES)
    graph = model.graph
    target = rng.choice((*graph.node, *graph.initializer, *graph.input, *graph.output))
    target.name = name


def _contract_edited(model: Model, rng: random.Random) -> None:
    entry = next(e for e in model.metadata_props if e.key == METADATA_KEY)
    try:
        table = msgspec.json.decode(entry.value)
    except msgspec.MsgspecError:
        return
    parent, key = table, rng.choice(list(table))
    while isinstance(parent[key], dict | list) and parent[key] and rng.random() < 0.9:
        parent = parent[key]
        key = rng.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    old = parent[key]
    match rng.randrange(5):
        case 0 if isinstance(old, int | float) and not isinstance(old, bool):
            parent[key] = old * rng.choice((-1, 0, 0.5, 2, 1_000, 1e6))
        case 1 if isinstance(parent, dict):
            del parent[key]
        case 2 if isinstance(parent, dict):
            parent[f"{key}x"] = old
        case 3 if isinstance(old, list):
            parent[key] = old * 2
        case _:
            parent[key] = rng.choice(_ODD_NUMBERS)
    entry.value = msgspec.json.encode(table).decode()


def _contract_text(model: Model, rng: random.Random) -> None:
    entry = next(e for e in model.metadata_props if e.key == METADATA_KEY)
    text = entry.value
    at = rng.randrange(len(text))
    entry.value = rng.choice((text[:at], text[:at] + "[" * 5_000, text * 2, "{}", "", "null"))


_KINDS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bytes flipped": _bytes_flipped,
    "a stretch cut, doubled or moved": _stretch_moved,
    "graph rewired": _by(_graph_rewired),
    "foreign operator, domain or subgraph": _by(_operator_foreign),
    "weights and coefficients altered": _by(_weights_altered),
    "sides huge or negative": _by(_sides_huge),
    "odd names and paths": _by(_names_odd),
    "contract edited": _by(_contract_edited),
    "contract's text broken": _by(_contract_text),
}
MUTATIONS = tuple(_KINDS)
