"""The engines: one file an engine, one line in this registry."""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.engine import Engine
from retempo.runtime.errors import EngineError

__all__ = ["ENGINES", "load_engine"]

# Imported when asked for: whoever steps by one engine does not wait for another's libraries.
ENGINES = {
    "sparse": "retempo.runtime.engines.sparse:SparseEngine",
    "onnx": "retempo.runtime.engines.onnx:OnnxEngine",
    "cuda": "retempo.runtime.engines.cuda:CudaEngine",
    "auto": "retempo.runtime.engines.auto:choose",
}


def load_engine(
    model: StepModel, resolution: Resolution | None = None, name: str = "auto"
) -> Engine:
    """Load a model into the engine of that name, at the file's own resolution unless told.

    Raises:
        EngineError: the engine is unknown, or cannot load the model.
    """
    if name not in ENGINES:
        raise EngineError(f"unknown engine {name!r}; known are {', '.join(ENGINES)}")
    module, _, attribute = ENGINES[name].partition(":")
    load = cast(
        Callable[[StepModel, Resolution], Engine], getattr(import_module(module), attribute)
    )
    return load(model, resolution or model.resolution())
