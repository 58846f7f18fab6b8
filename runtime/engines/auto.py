"""The engine that steps a model fastest on this machine, measured when it is loaded."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.engine import Engine, EngineState, Vector
from retempo.runtime.engines import load_engine
from retempo.runtime.engines.cuda_device import no_device
from retempo.runtime.engines.onnx import OnnxEngine
from retempo.runtime.engines.session import onnxruntime
from retempo.runtime.engines.sparse import SparseEngine
from retempo.runtime.errors import EngineError
from retempo.runtime.sparse_bins import SparseBins, without_zeros

# So many inputs of a bin are active in the bins that engines are compared by.
ACTIVE = 0.02
# Another engine must be so much faster than `sparse`: near a tie every load shall choose alike.
_MARGIN = 1.3
_BINS = 32
_ROUNDS = 5
_BUDGET_US = 30_000.0
# No engine steps more streams at once, see `engines.together`.
_MOST_TOGETHER = 64
# By so much the outputs of a GPU may differ from those of the CPU in the first bin.
_ALIKE = 1e-3


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and the microseconds a step of every engine that was tried.

    `streams` were stepped in a call where that helps an engine; a step is that of one of them.
    `left_out` says by name why an engine was not to be had.
    """

    engine: Engine
    step_us: Mapping[str, float]
    streams: int = 1
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """One clause that says it."""
        name = self.engine.name
        others = [f"{us:.1f} us by {each}" for each, us in self.step_us.items() if each != name]
        against = f" against {', '.join(others)}" if others else ""
        called = f", {self.streams} streams in a call" if self.streams > 1 else ""
        left_out = "".join(f"; {each} left out: {why}" for each, why in self.left_out.items())
        return (
            f"{self.step_us[name]:.1f} us a step{against}, at {ACTIVE:.0%} of inputs active"
            f"{called}{left_out}"
        )


def choose(model: StepModel, resolution: Resolution, *, batch: int = 1, gpu: bool = True) -> Engine:
    """Return the engine that `compare` chooses; it says why."""
    choice = compare(model, resolution, batch=batch, gpu=gpu)
    choice.engine.why = choice.why
    return choice.engine


def compare(
    model: StepModel, resolution: Resolution, *, batch: int = 1, gpu: bool = True
) -> Choice:
    """Step random bins by every engine in turn, and choose.

    `cuda` takes part where ONNX Runtime lists CUDA. Whatever keeps it from stepping, or lets it
    step otherwise than the CPU, is said in the choice.

    Args:
        model: what to step.
        resolution: at which.
        batch: how many streams are stepped in one call.
        gpu: whether `cuda` may take part.

    Raises:
        EngineError: none can load the model.
    """
    streams = min(batch, _MOST_TOGETHER)
    bins = _random_bins(model.contract.network.input.size)
    sparse, onnx = (
        _Contestant(engine, bins, streams)
        for engine in (SparseEngine(model, resolution), OnnxEngine(model, resolution))
    )
    left_out: dict[str, str] = {}
    if gpu and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        try:
            found = _on_gpu(model, resolution, bins, like=onnx)
            return _chosen([sparse, onnx, found], streams, left_out)
        except Exception as error:  # noqa: BLE001  (ONNX Runtime raises its own family and bare ones)
            left_out["cuda"] = " ".join(str(error).split())[:300] or type(error).__name__
    return _chosen([sparse, onnx], streams, left_out)


class _Contestant:
    """An engine with the streams that it steps: as many together as it gains by."""

    def __init__(self, engine: Engine, bins: SparseBins, streams: int) -> None:
        self.engine = engine
        self._states: list[EngineState] = [
            engine.new_state() for _ in range(streams if engine.batches else 1)
        ]
        # Compiled and mapped before it counts; a step that takes long is timed over fewer bins.
        self._bins = _first(bins, 1)
        self.y: Vector = self._run()[0].copy()
        call_us = self.step_us() * len(self._states)
        self._bins = _first(bins, max(1, min(_BINS, int(_BUDGET_US / _ROUNDS / call_us))))

    def step_us(self) -> float:
        """Step the bins once more; returns the microseconds a bin of one stream."""
        began = time.perf_counter_ns()
        self._run()
        took_us = (time.perf_counter_ns() - began) / 1e3
        return took_us / len(self._bins) / len(self._states)

    def _run(self) -> list[Vector]:
        return self.engine.run_many([(state, self._bins) for state in self._states])


def _on_gpu(
    model: StepModel, resolution: Resolution, bins: SparseBins, like: _Contestant
) -> _Contestant:
    """Return the contestant `cuda`; each state takes memory of the GPU, so it has one alone.

    Raises:
        EngineError: there is no GPU, or it steps otherwise than the CPU.
    """
    absent = no_device()
    if absent is not None:
        raise EngineError(absent)
    found = _Contestant(load_engine(model, resolution, "cuda"), bins, 1)
    if not np.allclose(found.y, like.y, rtol=_ALIKE, atol=_ALIKE, equal_nan=True):
        apart = float(np.abs(found.y - like.y).max())
        raise EngineError(f"its first outputs are {apart:.1g} away from those of onnx")
    return found


def _chosen(
    contestants: Sequence[_Contestant], streams: int, left_out: Mapping[str, str]
) -> Choice:
    """Measure, and rank by it."""
    step_us = _measure(contestants)
    engines = [each.engine for each in contestants]
    ranked = sorted(engines, key=lambda e: step_us[e.name] * (1 if e.name == "sparse" else _MARGIN))
    return Choice(ranked[0], step_us, streams, left_out)


def _measure(contestants: Sequence[_Contestant]) -> dict[str, float]:
    """Return the median microseconds a step; rounds in turn, so that a busy machine hits all."""
    rounds = [{each.engine.name: each.step_us() for each in contestants} for _ in range(_ROUNDS)]
    return {name: float(np.median([found[name] for found in rounds])) for name in rounds[0]}


def _random_bins(inputs: int) -> SparseBins:
    rows = np.random.default_rng(0).random((_BINS, inputs)) < ACTIVE
    return without_zeros(rows.astype(np.float32))


def _first(bins: SparseBins, size: int) -> SparseBins:
    end = bins.starts[size]
    return SparseBins(bins.starts[: size + 1], bins.inputs[:end], bins.values[:end])
