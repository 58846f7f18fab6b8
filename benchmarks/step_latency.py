"""Step time of `retempo replay` against a bare ONNX Runtime call with IO binding on the same graph.

    python -m benchmarks.step_latency [MODEL.onnx RECORDING...]

Both run in this process in turn, round by round; the ratio is of medians.
"""

import platform
import sys
from pathlib import Path

import numpy as np
import onnxruntime

from retempo.demo.assets import MODEL, RECORDINGS
from retempo.exporters.step_model import StepModel, input_shapes, load_step, output_shapes
from retempo.runtime.engines import load_engine
from retempo.runtime.pipeline import deploy, host_clock_us
from retempo.runtime.replay import replay
from retempo.sensors.files import open_recording

ROUNDS = 15
DTS_US = (1_000, 10_000)


class Bare:
    """The graph with every tensor bound once, stepped in a loop: nothing but the call."""

    def __init__(self, model: StepModel) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.content, options, providers=["CPUExecutionProvider"]
        )
        self._binding = self._session.io_binding()
        contract = model.contract
        states = {"x", *(state.name for state in contract.states)}
        rng = np.random.default_rng(0)
        for name, shape in input_shapes(contract).items():
            if name in states:
                values = rng.random([1 if side == -1 else side for side in shape]) < 0.05
                self._binding.bind_ortvalue_input(name, _ort(values.astype(np.float32)))
        for name, shape in output_shapes(contract).items():
            zeros = np.zeros([1 if side == -1 else side for side in shape], np.float32)
            self._binding.bind_ortvalue_output(name, _ort(zeros))

    def times_us(self, steps: int) -> list[float]:
        """Return the time of each of some steps."""
        times = []
        for _ in range(steps):
            began = host_clock_us()
            self._session.run_with_iobinding(self._binding)
            times.append(host_clock_us() - began)
        return times


def _ort(array: np.ndarray) -> onnxruntime.OrtValue:  # type: ignore[type-arg]
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def measure(model: StepModel, recordings: list[Path], dt_us: int) -> None:
    """Print the medians of both and their ratio."""
    deployment = deploy(load_engine(model, model.resolution(dt_us)), every="end")
    bare = Bare(model)
    sources = [open_recording(path) for path in recordings]
    replay(sources[0], deployment)
    bare.times_us(300)
    ours, theirs = [], []
    for k in range(ROUNDS):
        result = replay(sources[k % len(sources)], deployment)
        ours.append(result.step_p50_us)
        theirs.append(float(np.median(bare.times_us(result.steps))))
    ratios = np.array(ours) / np.array(theirs)
    print(
        f"{model.name} at {dt_us} us: retempo replay p50 {np.median(ours):.1f} us, "
        f"bare ONNX Runtime with IO binding p50 {np.median(theirs):.1f} us, "
        f"ratio {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f}, "
        f"{ROUNDS} rounds)"
    )


def main() -> None:
    """Measure the model and the recordings given, or the demonstration's."""
    arguments = [Path(text) for text in sys.argv[1:]]
    model = load_step(arguments[0] if arguments else MODEL)
    recordings = arguments[1:] or sorted(RECORDINGS.glob("*.bin"))[:ROUNDS]
    print(f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, {platform.machine()}")
    for dt_us in DTS_US:
        measure(model, recordings, dt_us)


if __name__ == "__main__":
    main()
