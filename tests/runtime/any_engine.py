"""Every engine by name, that of the GPU on the CPU: there its logic is tested, not its graphs."""

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.engine import Engine
from retempo.runtime.engines import ENGINES, load_engine
from retempo.runtime.engines.cuda import CudaEngine

ON_CPU = "cuda on the cpu"
EVERY_ENGINE = [name for name in ENGINES if name != "cuda"] + [ON_CPU]


def load_any(model: StepModel, resolution: Resolution | None = None, name: str = "onnx") -> Engine:
    if name == ON_CPU:
        return CudaEngine(model, resolution or model.resolution(), device="cpu")
    return load_engine(model, resolution, name)
