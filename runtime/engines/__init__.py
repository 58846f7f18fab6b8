"""The engines: one file an engine, one line in this registry."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.engine import Engine
from retempo.runtime.errors import EngineError

__all__ = ["AUTO", "ENGINES", "load_engine"]

AUTO = "auto"

# Imported when asked for: whoever steps by one engine does not wait for another's libraries.
ENGINES = {
    "sparse": "retempo.runtime.engines.sparse:SparseEngine",
    "onnx": "retempo.runtime.engines.onnx:OnnxEngine",
    "cuda": "retempo.runtime.engines.cuda:CudaEngine",
    AUTO: "retempo.runtime.engines.auto:choose",
}


def load_engine(
    model: StepModel,
    resolution: Resolution | None = None,
    name: str = AUTO,
    *,
    batch: int = 1,
    gpu: bool = True,
) -> Engine:
    """Load a model into the engine of that name, at the file's own resolution unless told.

    Args:
        model: what to load.
        resolution: of a new state.
        name: a name in `ENGINES`.
        batch: how many streams are stepped in one call, for `auto` to measure by.
        gpu: whether `auto` may take one.

    Raises:
        EngineError: the engine is unknown, or cannot load the model.
    """
    if name not in ENGINES:
        raise EngineError(f"unknown engine {name!r}; known are {', '.join(ENGINES)}")
    module, _, attribute = ENGINES[name].partition(":")
    load = cast(Callable[..., Engine], getattr(import_module(module), attribute))
    measured_by = {"batch": batch, "gpu": gpu} if name == AUTO else {}
    return load(model, resolution or model.resolution(), **measured_by)
