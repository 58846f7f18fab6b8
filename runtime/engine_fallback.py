"""The engine asked for, or the CPU where the configuration says so: never in silence."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from retempo.runtime.errors import EngineError

if TYPE_CHECKING:
    from retempo.exporters.resolution import Resolution
    from retempo.exporters.step_model import StepModel
    from retempo.runtime.engine import Engine

# `cpu` takes what `auto` finds on the CPU where `cuda` cannot be had.
Fallback = Literal["none", "cpu"]


def load_engine_or(
    model: "StepModel",
    resolution: "Resolution",
    name: str,
    fallback: Fallback,
    fallen_back: Callable[[str], None] = lambda _: None,
    *,
    batch: int = 1,
    gpu: bool = True,
) -> "Engine":
    """Load an engine by name; with `fallback` the CPU's where the GPU's cannot hold the model.

    Args:
        model: what to load.
        resolution: of a new state.
        name: a name in `runtime.engines.ENGINES`.
        fallback: what to do where the engine `cuda` fails.
        fallen_back: told why, if it was done.
        batch: how many streams are stepped in one call, for `auto` to measure by.
        gpu: whether `auto` may take one.

    Raises:
        EngineError: the engine is unknown, or cannot load the model.
    """
    from retempo.runtime.engines import load_engine

    if name != "cuda":
        return load_engine(model, resolution, name, batch=batch, gpu=gpu)
    try:
        engine = load_engine(model, resolution, name)
        # What is too large for the device shows when a state is laid out there.
        engine.new_state(1)
    except Exception as error:  # ONNX Runtime raises its own family and bare ones alike
        reason = " ".join(str(error).split())[:300]
        if fallback == "cpu":
            fallen_back(reason)
            return load_engine(model, resolution, "auto", batch=batch, gpu=False)
        if isinstance(error, EngineError):
            raise EngineError(f'{reason}; or set [engine] fallback = "cpu"') from error
        raise EngineError(
            f"the engine cuda cannot hold {model.name}: {reason}; free memory on the GPU, use "
            'another engine, or set [engine] fallback = "cpu"'
        ) from error
    return engine
