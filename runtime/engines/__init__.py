"""The engines: one file an engine, one line in this registry."""

from collections.abc import Callable

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.engine import Engine
from retempo.runtime.engines.cuda import CudaEngine
from retempo.runtime.engines.onnx import OnnxEngine
from retempo.runtime.engines.sparse import SparseEngine
from retempo.runtime.errors import EngineError

__all__ = ["ENGINES", "load_engine"]

ENGINES: dict[str, Callable[[StepModel, Resolution], Engine]] = {
    "onnx": OnnxEngine,
    "sparse": SparseEngine,
    "cuda": CudaEngine,
}


def load_engine(
    model: StepModel, resolution: Resolution | None = None, name: str = "onnx"
) -> Engine:
    """Load a model into the engine of that name, at the file's own resolution unless told.

    Raises:
        EngineError: the engine is unknown, or cannot load the model.
    """
    if name not in ENGINES:
        raise EngineError(f"unknown engine {name!r}; known are {', '.join(ENGINES)}")
    return ENGINES[name](model, resolution or model.resolution())
