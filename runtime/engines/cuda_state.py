"""What the engine `cuda` keeps on the device: a state's tensors, and the session they step in."""

from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.engine import Vector
from retempo.runtime.engines.device_graph import KEEP, device_graph, device_shapes
from retempo.runtime.engines.saved import is_spikes
from retempo.runtime.engines.session import onnxruntime, open_session
from retempo.runtime.errors import EngineError

if TYPE_CHECKING:
    from retempo.runtime.engines.cuda import CudaEngine

Device = Literal["cuda", "cpu"]

_PROVIDER = "CUDAExecutionProvider"
_OPTIONS = {
    # TensorFloat-32 keeps 10 bits of a weight: the engines would no longer agree.
    "use_tf32": "0",
}
# Few lags are longer; a longer one makes the state anew, and its graphs.
_FEWEST_PLACES = 16
# The graph shifts the whole history at each step.
_MOST_HISTORY = 2**28


class CudaState:
    """What `batch` streams carry, on the device, and what steps it, see `CudaEngine`."""

    def __init__(self, engine: "CudaEngine", batch: int, resolution: Resolution) -> None:
        network = engine.model.contract.network
        self.batch = batch
        self.resolution = resolution
        self.x: Vector = np.zeros((batch, network.input.size), np.float32)
        self.y: Vector = np.zeros((batch, len(network.labels)), np.float32)
        self.keeps = False
        self.make(engine)

    def make(self, engine: "CudaEngine") -> None:
        """Make what lies on the device, and capture its graphs, with all states zero."""
        self.places = places_of(engine.model, self.resolution, self.batch)
        self.turn = 0
        shapes = device_shapes(engine.model.contract, self.batch, self.places)
        self.tensors = [
            {name: engine.on_device(np.zeros(shape, np.float32)) for name, shape in shapes.items()}
            for _ in range(2)
        ]
        self.bound = {
            name: engine.on_device(values)
            for name, values in engine.coefficients(self.resolution, self.places).items()
        }
        self.bound[KEEP] = engine.on_device(np.array(float(self.keeps), np.float32))
        self.bound["x"] = engine.on_device(self.x)
        self.out = engine.on_device(self.y)
        self.steps = [engine.binding_of(self, turn) for turn in range(2)]
        if engine.captures:
            # The runs before the capture and the capture itself step too: nothing but zeros yet.
            for binding, options in self.steps:
                engine.run_once(binding, options)
            for tensors in self.tensors:
                for name, shape in shapes.items():
                    tensors[name].update_inplace(np.zeros(shape, np.float32))


def open_device_session(model: StepModel, device: Device, *, captures: bool) -> Any:
    """Open the device's graph of a model.

    Raises:
        EngineError: ONNX Runtime has no CUDA, or cannot run all of the graph on the GPU.
    """
    content = device_graph(model)
    if device == "cpu":
        return open_session(model, content, ["CPUExecutionProvider"])
    if _PROVIDER not in onnxruntime.get_available_providers():
        raise EngineError(
            "the engine cuda needs ONNX Runtime with CUDA; install retempo[gpu] in place of "
            "retempo[cpu], or use another engine"
        )
    session = open_session(
        model,
        content,
        [(_PROVIDER, {"enable_cuda_graph": str(int(captures)), **_OPTIONS})],
        # Else what CUDA cannot compute, or all where there is no GPU, silently runs on the CPU.
        {"session.disable_cpu_ep_fallback": "1"},
    )
    used = session.get_providers()[0]
    if used != _PROVIDER:
        raise EngineError(
            f"ONNX Runtime fell back to {used}; the engine cuda needs a GPU with its driver, CUDA "
            "and cuDNN, see nvidia-smi"
        )
    return session


def places_of(model: StepModel, resolution: Resolution, batch: int) -> int:
    """Return how many steps the history of such a state holds, a power of two.

    Raises:
        EngineError: they would not fit.
    """
    places = max(_FEWEST_PLACES, 1 << (ceil(resolution.lag) - 1).bit_length())
    neurons = sum(spec.shape[1] for spec in model.contract.states if is_spikes(spec))
    if 4 * places * neurons * batch > _MOST_HISTORY:
        raise EngineError(
            f"the spikes of {ceil(resolution.lag):,} steps of {neurons:,} neurons in {batch} "
            "streams are too many to shift at each step on a GPU; take a coarser time step, "
            "fewer streams, or the engine onnx"
        )
    return places
