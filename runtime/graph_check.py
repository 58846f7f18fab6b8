"""Whether a file's graph steps as the network that its contract describes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.network import Network
from retempo.exporters.reference import Float, step
from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel, bound_coefficients, network_of
from retempo.runtime.engines.saved import shape_of
from retempo.runtime.engines.session import open_session
from retempo.runtime.errors import EngineError

_BATCH = 2
# Draws of which one may leave every potential clear of its threshold.
_DRAWS = 8
_TOLERANCE = 1e-3
# Where none does, this share of the values of each tensor must agree.
_SHARE = 0.95


def odd_output(model: StepModel, resolution: Resolution) -> str | None:
    """Step the graph once from a random state, beside the plain equations in double precision.

    Returns:
        The first output that differs, None if all agree.

    Raises:
        EngineError: ONNX Runtime refuses the graph, or cannot step it.
    """
    network = network_of(model)
    session = open_session(model, model.content, ["CPUExecutionProvider"])
    for seed in range(_DRAWS):
        drawn = _draw(model, seed)
        wanted = _wanted(network, resolution, drawn)
        clear = _clear(network, wanted)
        if clear:
            break
    names = [output.name for output in session.get_outputs()]
    try:
        values = session.run(names, {**drawn, **bound_coefficients(model.contract, resolution)})
    except Exception as error:  # ONNX Runtime raises its own family and bare ones alike
        reason = str(error).strip().splitlines()[0]
        raise EngineError(f"ONNX Runtime cannot step {model.name}: {reason}") from error
    found = dict(zip(names, values, strict=True))
    nexts = {spec.name: spec.next for spec in model.contract.states}
    for key, expected in wanted.items():
        name = nexts.get(key, key)
        if found[name].shape != expected.shape or _share(found[name], expected) < (
            1.0 if clear else _SHARE
        ):
            return name
    return None


def _draw(model: StepModel, seed: int) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    drawn: dict[str, NDArray[Any]] = {
        "x": rng.poisson(0.3, (_BATCH, model.contract.network.input.size))
    }
    for spec in model.contract.states:
        shape = shape_of(spec, _BATCH)
        spikes = len(shape) == 2
        drawn[spec.name] = rng.random(shape) < 0.2 if spikes else rng.normal(0.0, 0.5, shape)
    return {name: values.astype(np.float32) for name, values in drawn.items()}


def _wanted(
    network: Network, resolution: Resolution, drawn: Mapping[str, NDArray[np.float32]]
) -> dict[str, Float]:
    wide: dict[str, Float] = {key: values.astype(np.float64) for key, values in drawn.items()}
    x = wide.pop("x")
    with np.errstate(all="ignore"):
        after, y = step(network, resolution, wide, x)
    return {**after, "y": y}


def _clear(network: Network, wanted: Mapping[str, Float]) -> bool:
    """Whether no potential is so near its threshold that rounding decides."""
    for layer in network.spec.layers[:-1]:
        u = wanted[f"{layer.name}.state"][0]
        if (np.abs(u - layer.threshold) <= _TOLERANCE * (1.0 + np.abs(u))).any():
            return False
    return True


def _share(found: Float, wanted: Float) -> float:
    scale = float(np.abs(wanted).max(initial=1.0))
    near = np.isclose(found, wanted, rtol=_TOLERANCE, atol=0.1 * _TOLERANCE * scale, equal_nan=True)
    return float(near.mean())
