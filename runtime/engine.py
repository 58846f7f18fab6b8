"""What an engine is: something that steps a model for a number of streams."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.saved_state import Saved
from retempo.runtime.sparse_bins import SparseBins

Vector = NDArray[np.float32]
Arrays = Mapping[str, Vector]


class EngineState(Protocol):
    """What `batch` streams carry from bin to bin, and the buffers that an engine steps them in."""

    @property
    def batch(self) -> int:
        """How many streams are stepped together."""
        ...

    @property
    def resolution(self) -> Resolution:
        """How they are stepped now."""
        ...

    @property
    def x(self) -> Vector:
        """The input of the next step, `(batch, inputs)`: written in place by who feeds the step."""
        ...


class Engine(Protocol):
    """Steps one model, each state at its own resolution. Made by `runtime.engines.load_engine`.

    `resolution` is that of a new state that is not told another; `batches` says whether it gains by
    stepping several streams in one call, `why` for what reason it was taken.
    """

    name: str
    why: str
    batches: bool
    model: StepModel
    resolution: Resolution

    def new_state(self, batch: int = 1, resolution: Resolution | None = None) -> EngineState:
        """Return the state of streams that have seen nothing."""
        ...

    def set_resolution(self, state: EngineState, resolution: Resolution) -> None:
        """Go on at another resolution from the next step: the state carries over as it is.

        The spikes that feedback still waits for are heard when they would have been, see
        `runtime.engines.history`.
        """
        ...

    def step(self, state: EngineState) -> Vector:
        """Step one bin with `state.x`; returns `y`, `(batch, labels)`, valid until the next step.

        A bin of several inner steps has the mean of their `y`.
        """
        ...

    def run(self, state: EngineState, bins: SparseBins) -> Vector:
        """Step one stream through consecutive bins, as `step` would with each of them.

        Returns:
            `y` of every bin, `(bins, labels)`, valid until the next step.
        """
        ...

    def run_many(self, jobs: Sequence[tuple[EngineState, SparseBins]]) -> list[Vector]:
        """Step several streams through their bins, together where that is faster.

        The states are of one stream each and may differ in resolution; those of the same
        `Resolution` can be stepped together. A batch rounds otherwise than a stream alone, so a
        potential within rounding of the threshold may differ from `run`.

        Returns:
            What `run` gives for each, valid until that stream's next step.
        """
        ...

    def spikes(self, state: EngineState) -> Arrays:
        """Return how often each spiking neuron fired, `(batch, neurons)` a state.

        In the last bin, or in all bins of the last `run` or `run_many`; valid until the next step.
        """
        ...

    def finite(self, state: EngineState) -> NDArray[np.bool_]:
        """Return which streams hold finite numbers alone, `(batch,)`: what is not stays so."""
        ...

    def save_state(self, state: EngineState) -> Arrays:
        """Return a copy of a state by the contract's names, spike history included."""
        ...

    def load_state(self, arrays: Arrays, resolution: Resolution | None = None) -> EngineState:
        """Return a state that goes on exactly where the saved one stood, at its resolution."""
        ...

    def snapshot(self, state: EngineState) -> Saved:
        """Return a copy of all that a state goes on by, for this engine alone.

        Unlike by `save_state` nothing changes in the state that is saved: it and what `restore`
        makes of the copy go on alike, bit for bit, and as if it had not been saved.
        """
        ...

    def restore(self, saved: Saved, resolution: Resolution | None = None) -> EngineState:
        """Return the state of one stream that a snapshot was taken of, at its resolution.

        Raises:
            CheckpointError: it is the state of another network or resolution, or no state.
        """
        ...
