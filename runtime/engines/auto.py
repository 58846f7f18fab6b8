"""The engine that steps a model fastest on this machine, measured when it is loaded."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.engine import Engine
from retempo.runtime.engines.onnx import OnnxEngine
from retempo.runtime.engines.sparse import SparseEngine
from retempo.runtime.sparse_bins import SparseBins, without_zeros

# So many inputs of a bin are active in the bins that engines are compared by.
ACTIVE = 0.02
# Another engine must be so much faster than `sparse`: near a tie every load shall choose alike.
_MARGIN = 1.3
_BINS = 32
_ROUNDS = 5
_BUDGET_US = 30_000.0


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and the microseconds a step of every engine that was tried."""

    engine: Engine
    step_us: Mapping[str, float]

    @property
    def why(self) -> str:
        """One clause that says it."""
        name = self.engine.name
        others = [f"{us:.1f} us by {each}" for each, us in self.step_us.items() if each != name]
        against = f" against {', '.join(others)}" if others else ""
        return f"{self.step_us[name]:.1f} us a step{against}, at {ACTIVE:.0%} of inputs active"


def choose(model: StepModel, resolution: Resolution) -> Engine:
    """Return the engine that `compare` chooses; it says why."""
    choice = compare(model, resolution)
    choice.engine.why = choice.why
    return choice.engine


def compare(model: StepModel, resolution: Resolution) -> Choice:
    """Step random bins by every engine in turn, one stream at a time, and choose.

    Raises:
        EngineError: none can load the model.
    """
    engines: list[Engine] = [SparseEngine(model, resolution), OnnxEngine(model, resolution)]
    step_us = _measure(engines)
    ranked = sorted(engines, key=lambda e: step_us[e.name] * (1 if e.name == "sparse" else _MARGIN))
    return Choice(ranked[0], step_us)


def _measure(engines: list[Engine]) -> dict[str, float]:
    bins = _random_bins(engines[0].model.contract.network.input.size)
    states = [engine.new_state() for engine in engines]
    times: dict[str, list[float]] = {engine.name: [] for engine in engines}
    parts = []
    for engine, state in zip(engines, states, strict=True):
        # Compiled and mapped before it counts; a step that takes long is timed over fewer bins.
        engine.run(state, _first(bins, 1))
        one_us = _timed_us(engine, state, _first(bins, 1))
        parts.append(_first(bins, max(1, min(_BINS, int(_BUDGET_US / _ROUNDS / one_us)))))
    for _ in range(_ROUNDS):
        for engine, state, part in zip(engines, states, parts, strict=True):
            times[engine.name].append(_timed_us(engine, state, part) / len(part))
    return {name: float(np.median(each)) for name, each in times.items()}


def _timed_us(engine: Engine, state: object, bins: SparseBins) -> float:
    began = time.perf_counter_ns()
    engine.run(state, bins)  # type: ignore[arg-type]
    return (time.perf_counter_ns() - began) / 1e3


def _random_bins(inputs: int) -> SparseBins:
    rows = np.random.default_rng(0).random((_BINS, inputs)) < ACTIVE
    return without_zeros(rows.astype(np.float32))


def _first(bins: SparseBins, size: int) -> SparseBins:
    end = bins.starts[size]
    return SparseBins(bins.starts[: size + 1], bins.inputs[:end], bins.values[:end])
