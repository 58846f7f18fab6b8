"""A trained network and its checkpoint: `network.json` and `weights.safetensors`.

No pickle: a checkpoint is data that cannot run.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from retempo.exporters.connections import weight_shape
from retempo.exporters.description import NetworkSpec, check_network, connection_of
from retempo.exporters.errors import NetworkError
from retempo.exporters.files import write_together
from retempo.exporters.neurons import neuron_named

Matrix = NDArray[np.float32]

DESCRIPTION_FILE = "network.json"
WEIGHTS_FILE = "weights.safetensors"
_DIGEST_KEY = "network.json sha256"


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A description and its large matrices, float32.

    `weights["<layer>.W"]` is `(inputs, neurons)`, that of a convolution `(channels out, channels
    in, kernel, kernel)`; a recurrent layer has `"<layer>.V"`, `(neurons, neurons)`, spikes from the
    left.
    """

    spec: NetworkSpec
    weights: Mapping[str, Matrix]


def weight_shapes(spec: NetworkSpec) -> dict[str, tuple[int, ...]]:
    """Return the name and the shape of every large matrix that the description asks for."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in spec.layers:
        shapes[f"{layer.name}.W"] = weight_shape(connection_of(layer), layer.inputs, layer.neurons)
        if neuron_named(layer.neuron).recurrent:
            shapes[f"{layer.name}.V"] = (layer.neurons, layer.neurons)
    return shapes


def check(network: Network) -> None:
    """Check description and weights against each other.

    Raises:
        NetworkError: they do not fit; the text names the matrix.
    """
    check_network(network.spec)
    wanted = weight_shapes(network.spec)
    if set(wanted) != set(network.weights):
        raise NetworkError(
            f"weights are {', '.join(sorted(network.weights)) or 'none'}; "
            f"the description asks for {', '.join(sorted(wanted))}"
        )
    for name, shape in wanted.items():
        matrix = network.weights[name]
        if matrix.shape != shape or matrix.dtype != np.float32:
            raise NetworkError(f"{name} is {matrix.dtype} {matrix.shape}, expected float32 {shape}")
        if not np.isfinite(matrix).all():
            raise NetworkError(f"{name} holds NaN or infinity; the training has diverged")


def save_network(network: Network, run: Path, beside: Mapping[str, bytes] | None = None) -> None:
    """Write `network.json` and `weights.safetensors` into the folder `run`, all at once.

    Args:
        network: what to write.
        run: the folder, made if need be.
        beside: further files of the run by name, written together with the checkpoint.

    Raises:
        NetworkError: the network is inconsistent, or the folder cannot be written.
    """
    check(network)
    description = msgspec.json.format(msgspec.json.encode(network.spec), indent=1)
    weights = save_tensors(
        {name: np.ascontiguousarray(matrix) for name, matrix in network.weights.items()},
        metadata={_DIGEST_KEY: _digest(description)},
    )
    files = {WEIGHTS_FILE: weights, **(beside or {}), DESCRIPTION_FILE: description}
    try:
        run.mkdir(parents=True, exist_ok=True)
        write_together({run / name: content for name, content in files.items()})
    except OSError as error:
        raise NetworkError(f"cannot write the run {run}: {error.strerror}") from error


def load_network(run: Path) -> Network:
    """Read a run's checkpoint.

    Raises:
        NetworkError: a file is missing, damaged or inconsistent.
    """
    try:
        description = (run / DESCRIPTION_FILE).read_bytes()
        weights = (run / WEIGHTS_FILE).read_bytes()
    except OSError as error:
        raise NetworkError(
            f"{run} is no run: {error.strerror}: {error.filename}; make one with retempo train"
        ) from error
    try:
        spec = msgspec.json.decode(description, type=NetworkSpec)
        network = Network(spec, load_tensors(weights))
    except (msgspec.MsgspecError, SafetensorError) as error:
        raise NetworkError(f"{run} holds a damaged checkpoint: {error}") from error
    wanted = _metadata(weights).get(_DIGEST_KEY)
    if wanted not in (None, _digest(description)):
        raise NetworkError(
            f"{run} holds a {WEIGHTS_FILE} that was not written with its {DESCRIPTION_FILE}; "
            "train it again"
        )
    check(network)
    return network


def _digest(description: bytes) -> str:
    return hashlib.sha256(description).hexdigest()


def _metadata(weights: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: its header is JSON behind a length of 8 bytes."""
    length = int.from_bytes(weights[:8], "little")
    header = msgspec.json.decode(weights[8 : 8 + length], type=dict[str, object])
    return msgspec.convert(header.get("__metadata__", {}), dict[str, str])
