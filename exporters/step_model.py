"""Read a model file: a graph and the contract that it must keep."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from retempo.exporters.adaptation import method_named
from retempo.exporters.contract import METADATA_KEY, SCAN_KEY, Contract, decode_contract
from retempo.exporters.errors import AdaptationError, ContractError
from retempo.exporters.manifest import IDENTITY_DIGITS, Summary, digest_of, seal
from retempo.exporters.network import Network, check, weight_shapes
from retempo.exporters.neurons import neuron_named
from retempo.exporters.resolution import Resolution, check_dt_us, resolve
from retempo.exporters.statistics import Statistics
from retempo.exporters.step_graph import coefficients_of, graph_coefficients

Shape = tuple[int, ...]
Coefficient = NDArray[np.float32]

# The checker quotes names of the graph in its messages; names that are no UTF-8 break the quoting.
# A data type that ONNX has not is a bare ValueError, of which UnicodeDecodeError is one too.
_INVALID = (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError)


@dataclass(frozen=True, slots=True, eq=False)
class StepModel:
    """A checked model: the file's bytes for an engine, and the contract that they keep.

    `sha256` is that of the bytes, `identity` its first digits.
    """

    name: str
    content: bytes
    contract: Contract
    sha256: str = ""

    @property
    def identity(self) -> str:
        """What a decision names the model by."""
        return self.sha256[:IDENTITY_DIGITS]

    @property
    def dt_us(self) -> int:
        """The time step whose coefficients are the file's defaults."""
        return self.contract.resolution.target_dt_us

    def resolution(
        self,
        dt_us: int | None = None,
        method: str | None = None,
        normalisation: str | None = None,
        statistics: Statistics | None = None,
    ) -> Resolution:
        """Return the coefficients of any resolution, the file's own where nothing is asked.

        At another time step than the file's own the method is `auto` unless named. The
        rule is the method's own, unless the file was exported with another. `statistics` are those
        of the rule `measured`, the file's own if None.

        Raises:
            AdaptationError: as `exporters.resolution.resolve`.
        """
        own = self.contract.resolution
        network = self.contract.network
        dt_us = own.target_dt_us if dt_us is None else dt_us
        if method is None:
            same = dt_us == own.target_dt_us
            check_dt_us(dt_us)
            method = own.method if same else "auto"
        if normalisation is None and own.normalisation != method_named(own.method).normalisation:
            normalisation = own.normalisation  # it was chosen, and stays so
        return resolve(network, dt_us, method, normalisation, statistics or own.statistics)


def load_step(path: Path) -> StepModel:
    """Read a model file and check that its graph keeps its contract.

    Raises:
        ContractError: the file is missing, no ONNX model, not of Retempo, or broken; the text says
            which.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ContractError(f"cannot read the model {path}: {error.strerror}") from error
    return parse_step(content, path.name)


def parse_step(content: bytes, name: str) -> StepModel:
    """As `load_step`, from bytes; `name` is for messages."""
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ContractError(f"{name} is no ONNX model, or is truncated") from error
    if not model.HasField("graph") or not model.graph.node:
        raise ContractError(f"{name} is no ONNX model, or is truncated")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    if SCAN_KEY in properties:
        raise ContractError(
            f"{name} is a scan over whole recordings, not a step; export the step without --scan"
        )
    if METADATA_KEY not in properties:
        raise ContractError(
            f"{name} carries no Retempo contract, so its time step is unknown; "
            "make one with retempo export"
        )
    contract = decode_contract(properties[METADATA_KEY], name)
    _check_graph(model.graph, contract, name)
    try:
        onnx.checker.check_model(model, full_check=True)
    except _INVALID as error:
        reason = str(error).strip().splitlines()[0]
        raise ContractError(f"{name} is no valid ONNX graph: {reason}") from error
    step = StepModel(name, content, contract, digest_of(content))
    _check_coefficients(model.graph, step)
    return step


def seal_step(path: Path, step: StepModel, made_by: str, now: datetime) -> Path:
    """Write the manifest of a model beside it; returns its path.

    Raises:
        ManifestError: it cannot be written.
    """
    network, resolution = step.contract.network, step.contract.resolution
    summary = Summary(
        source_dt_us=network.source_dt_us,
        target_dt_us=resolution.target_dt_us,
        method=resolution.method,
        inputs=network.input.size,
        labels=len(network.labels),
    )
    return seal(path, step.content, made_by, now, summary)


def same_network(one: StepModel, other: StepModel) -> bool:
    """Return whether two models are one network, whatever resolution they were exported at."""
    if one.content == other.content:
        return True
    if one.contract.network != other.contract.network:
        return False
    ours, theirs = network_of(one).weights, network_of(other).weights
    return all(np.array_equal(ours[name], theirs[name]) for name in ours)


def network_of(model: StepModel) -> Network:
    """Return the network that a model was exported from, weights and all."""
    graph = onnx.load_model_from_string(model.content).graph
    spec = model.contract.network
    wanted = weight_shapes(spec)
    weights = {t.name: numpy_helper.to_array(t) for t in graph.initializer if t.name in wanted}
    network = Network(spec, weights)
    check(network)
    return network


def input_shapes(contract: Contract) -> dict[str, Shape]:
    """Return every input of the step and its shape; `-1` is the batch axis."""
    shapes: dict[str, Shape] = {"x": (-1, contract.network.input.size)}
    shapes |= {state.name: tuple(state.shape) for state in contract.states}
    for layer in contract.network.layers:
        neuron, n = neuron_named(layer.neuron), layer.neurons
        sides: dict[str, Shape] = {
            "A": (neuron.variables, neuron.variables, 1, n),
            **dict.fromkeys("RFGN", (neuron.variables, 1, n)),
            **dict.fromkeys(("gain", "bias", "threshold"), (n,)),
        }
        shapes |= {f"{layer.name}.{key}": sides[key] for key in coefficients_of(neuron)}
    return shapes


def output_shapes(contract: Contract) -> dict[str, Shape]:
    """Return every output of the step and its shape; `-1` is the batch axis."""
    shapes: dict[str, Shape] = {"y": (-1, len(contract.network.labels))}
    return shapes | {state.next: tuple(state.shape) for state in contract.states}


def bound_coefficients(contract: Contract, resolution: Resolution) -> dict[str, Coefficient]:
    """Return every coefficient of a resolution by its name in the graph."""
    bound: dict[str, Coefficient] = {}
    for layer, values in zip(contract.network.layers, resolution.layers, strict=True):
        bound |= graph_coefficients(neuron_named(layer.neuron), values)
    return bound


def _check_graph(graph: onnx.GraphProto, contract: Contract, name: str) -> None:
    for tensor in graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise ContractError(
                f"{name} keeps {tensor.name} in another file; a model carries its weights inside: "
                "export it again with external_data=False"
            )
    _compare(_shapes(graph.input), input_shapes(contract), "input", name)
    _compare(_shapes(graph.output), output_shapes(contract), "output", name)
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for key, shape in weight_shapes(contract.network).items():
        if weights.get(key) != shape:
            found = f"has the shape {weights[key]}" if key in weights else "is missing"
            raise ContractError(f"{name}: {key} {found}, its contract says {shape}")


def _shapes(values: "list[onnx.ValueInfoProto]") -> dict[str, Shape]:
    found = {}
    for value in values:
        sides = value.type.tensor_type.shape.dim
        found[value.name] = tuple(s.dim_value if s.HasField("dim_value") else -1 for s in sides)
    return found


def _compare(found: dict[str, Shape], wanted: dict[str, Shape], kind: str, name: str) -> None:
    for key in wanted:
        if key not in found:
            raise ContractError(f"{name}: the graph has no {kind} {key}, which its contract names")
    for key, shape in found.items():
        if key not in wanted:
            raise ContractError(f"{name}: the graph has an {kind} {key} that its contract omits")
        if shape != wanted[key]:
            raise ContractError(
                f"{name}: {kind} {key} has the shape {shape}, its contract says {wanted[key]}"
            )


def _check_coefficients(graph: onnx.GraphProto, step: StepModel) -> None:
    """The graph's defaults must be what the contract's method makes of its parameters."""
    own = step.contract.resolution
    try:
        resolution = step.resolution(own.target_dt_us, own.method, own.normalisation)
    except AdaptationError as error:
        raise ContractError(
            f"{step.name} carries a contract that cannot be kept: {error}"
        ) from error
    for name in ("lag", "substeps"):
        said, wanted = getattr(own, name), getattr(resolution, name)
        if said != wanted:
            raise ContractError(
                f"{step.name}: the contract says {name} {said:g}, {own.method} from "
                f"{step.contract.network.source_dt_us} to {own.target_dt_us} us has {wanted:g}"
            )
    defaults = {tensor.name: tensor for tensor in graph.initializer}
    for key, wanted in bound_coefficients(step.contract, resolution).items():
        if key not in defaults:
            raise ContractError(f"{step.name}: the graph has no default for the coefficient {key}")
        found = numpy_helper.to_array(defaults[key])
        if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=1e-4, atol=1e-5):
            raise ContractError(
                f"{step.name}: the graph's {key} is not what its contract's method gives; "
                "export it again"
            )
