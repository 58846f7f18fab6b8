"""A trained network and its checkpoint: `network.json` and `weights.safetensors`.

No pickle: a checkpoint is data that cannot run.
"""

import errno
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from retempo.exporters.description import NetworkSpec, check_network
from retempo.exporters.errors import NetworkError
from retempo.exporters.neurons import neuron_named

Matrix = NDArray[np.float32]

DESCRIPTION_FILE = "network.json"
WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A description and its large matrices, float32.

    `weights["<layer>.W"]` is `(inputs, neurons)`; a recurrent layer has `"<layer>.V"`,
    `(neurons, neurons)`, spikes from the left.
    """

    spec: NetworkSpec
    weights: Mapping[str, Matrix]


def weight_shapes(spec: NetworkSpec) -> dict[str, tuple[int, int]]:
    """Return the name and the shape of every large matrix that the description asks for."""
    shapes = {}
    for layer in spec.layers:
        shapes[f"{layer.name}.W"] = (layer.inputs, layer.neurons)
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


def save_network(network: Network, run: Path) -> None:
    """Write `network.json` and `weights.safetensors` into the folder `run`, each at once.

    Raises:
        NetworkError: the network is inconsistent, or the folder cannot be written.
    """
    check(network)
    description = msgspec.json.format(msgspec.json.encode(network.spec), indent=1)
    weights = save_tensors({name: np.ascontiguousarray(w) for name, w in network.weights.items()})
    try:
        run.mkdir(parents=True, exist_ok=True)
        write_atomically(run / WEIGHTS_FILE, weights)
        write_atomically(run / DESCRIPTION_FILE, description)
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
    check(network)
    return network


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or, after any fault, as it was before.

    A link is followed, and what is no file is left alone.

    Raises:
        OSError: as the file system says, or the path is that of a folder, a device or a pipe.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file", str(path))
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
