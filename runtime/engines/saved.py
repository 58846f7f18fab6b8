"""Saved states by the contract's names: what every engine checks before it takes one."""

from math import ceil

import numpy as np

from retempo.exporters.contract import StateSpec
from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.engine import Arrays
from retempo.runtime.errors import CheckpointError, EngineError
from retempo.runtime.saved_state import Saved, taken_array


def is_spikes(spec: StateSpec) -> bool:
    """Return whether a state is the spikes of a layer, which alone are read with a lag."""
    return len(spec.shape) == 2


def shape_of(spec: StateSpec, batch: int) -> tuple[int, ...]:
    """Return the shape of a state's tensor for so many streams."""
    return tuple(batch if side == -1 else side for side in spec.shape)


def saved_batch(model: StepModel, arrays: Arrays) -> int:
    """Return how many streams a saved state holds.

    Raises:
        EngineError: it cannot be told.
    """
    spec = model.contract.states[0]
    axis = spec.shape.index(-1)
    shape = arrays[spec.name].shape if spec.name in arrays else ()
    if len(shape) != len(spec.shape):
        raise EngineError(f"saved state {spec.name} is {shape or 'missing'}, expected {spec.shape}")
    return int(shape[axis])


def check_saved(model: StepModel, arrays: Arrays, batch: int, lag: int) -> None:
    """Check that a saved state is of this model and of a resolution with this lag.

    Raises:
        EngineError: a tensor is missing, unknown, or of another shape.
    """
    specs = model.contract.states
    strange = sorted(set(arrays) - {spec.name for spec in specs})
    if strange:
        raise EngineError(f"{model.name} has no state {strange[0]}; it is another network's")
    for spec in specs:
        shape = shape_of(spec, batch)
        wanted = (lag, *shape) if is_spikes(spec) else shape
        if spec.name not in arrays or arrays[spec.name].shape != wanted:
            found = arrays[spec.name].shape if spec.name in arrays else "nothing"
            raise EngineError(f"saved state {spec.name} is {found}, expected {wanted}")


def checked_state(model: StepModel, saved: Saved, resolution: Resolution) -> Arrays:
    """Return the state of one stream that a checkpoint holds by the contract's names.

    Raises:
        CheckpointError: a tensor is missing, unknown, of another shape, or not finite.
    """
    specs = model.contract.states
    strange = sorted(set(saved) - {spec.name for spec in specs})
    if strange:
        raise CheckpointError(f"{model.name} has no state {strange[0]}; it is another network's")
    arrays = {}
    for spec in specs:
        shape = shape_of(spec, 1)
        wanted = (ceil(resolution.lag), *shape) if is_spikes(spec) else shape
        arrays[spec.name] = taken_array(saved, spec.name, np.float32, wanted)
    return arrays
