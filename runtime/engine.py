"""What an engine is: something that steps a model for a number of streams."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel

Vector = NDArray[np.float32]
Arrays = Mapping[str, Vector]


class EngineState(Protocol):
    """What `batch` streams carry from bin to bin, and the buffers that an engine steps them in."""

    @property
    def batch(self) -> int:
        """How many streams are stepped together."""
        ...

    @property
    def x(self) -> Vector:
        """The input of the next step, `(batch, inputs)`: written in place by who feeds the step."""
        ...


class Engine(Protocol):
    """Steps one model at one resolution. Made by `runtime.engines.load_engine`."""

    name: str
    model: StepModel
    resolution: Resolution

    def set_resolution(self, resolution: Resolution) -> None:
        """Take other coefficients for the states that are made from now on."""
        ...

    def new_state(self, batch: int = 1) -> EngineState:
        """Return the state of streams that have seen nothing."""
        ...

    def step(self, state: EngineState) -> Vector:
        """Step one bin with `state.x`; returns `y`, `(batch, labels)`, valid until the next step.

        A bin of several inner steps has the mean of their `y`.
        """
        ...

    def spikes(self, state: EngineState) -> Arrays:
        """Return how often each spiking neuron fired in the last bin, `(batch, neurons)` a state.

        Valid until the next step.
        """
        ...

    def finite(self, state: EngineState) -> NDArray[np.bool_]:
        """Return which streams hold finite numbers alone, `(batch,)`: what is not stays so."""
        ...

    def save_state(self, state: EngineState) -> Arrays:
        """Return a copy of a state by the contract's names, spike history included."""
        ...

    def load_state(self, arrays: Arrays) -> EngineState:
        """Return a state that goes on exactly where the saved one stood."""
        ...
