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
from retempo.runtime.clock import host_clock_us
from retempo.runtime.deployment import deploy
from retempo.runtime.engines import load_engine
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
    deployment = deploy(load_engine(model, model.resolution(dt_us), "onnx"), every="end")
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
    spec = model.contract.network
    shape = "-".join(str(n) for n in (spec.input.size, *(layer.neurons for layer in spec.layers)))
    low, high = np.percentile(ratios, (10, 90))
    print(
        f"| {shape} | {dt_us} us | {np.median(ours):.1f} | {np.median(theirs):.1f} "
        f"| {np.median(ratios):.2f} ({low:.2f} to {high:.2f}) |"
    )


def main() -> None:
    """Measure the model and the recordings given, or the demonstration's."""
    arguments = [Path(text) for text in sys.argv[1:]]
    model = load_step(arguments[0] if arguments else MODEL)
    recordings = arguments[1:] or sorted(RECORDINGS.glob("*.bin"))[:ROUNDS]
    print(
        "# Step time\n\n"
        "    make bench    # python -m benchmarks.step_latency [MODEL.onnx RECORDING...]\n\n"
        "The p50 that `retempo replay` prints against the p50 of a bare ONNX Runtime call with IO\n"
        f"binding on the same graph, in turn in one process, {ROUNDS} rounds; the ratio is the\n"
        "median over rounds (10th to 90th percentile). One thread, batch 1, microseconds.\n"
        f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, {platform.machine()}.\n\n"
        "| network | bin | replay | bare | ratio |\n|---|---|---|---|---|"
    )
    for dt_us in DTS_US:
        measure(model, recordings, dt_us)


if __name__ == "__main__":
    main()
