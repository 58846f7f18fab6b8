"""Prove the engine `cuda` on a machine with a GPU, in under five minutes.

    python -m benchmarks.gpu_check [MODEL.onnx]

Parity with the engine `onnx`, that capture leaves a state as it was, switching under way, what
`auto` makes of it, and step times against the engines of the CPU. Exits with 1 if anything fails.
Where there is no GPU it says so in one line and exits with 0. Either way it writes
docs/results/gpu.md.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from retempo.demo.assets import MODEL
from retempo.exporters.step_model import StepModel, load_step
from retempo.runtime.engine import Engine, EngineState, Vector
from retempo.runtime.engines import load_engine
from retempo.runtime.engines.auto import compare
from retempo.runtime.engines.cuda import CudaEngine
from retempo.runtime.errors import EngineError

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "gpu.md"
HEAD = (
    "# The engine of a GPU\n\n"
    "    make gpu-check    # python -m benchmarks.gpu_check [MODEL.onnx]\n\n"
    "| check | result | |\n|---|---|---|\n"
)
STEPS = 500
BATCHES = (1, 64, 512)
Row = tuple[str, bool, str]


def inputs_of(model: StepModel, steps: int, batch: int) -> Vector:
    """Draw events at one in twenty inputs, `(steps, batch, inputs)`."""
    rng = np.random.default_rng(0)
    shape = (steps, batch, model.contract.network.input.size)
    return (rng.random(shape, np.float32) < 0.05).astype(np.float32)


def stepped(engine: Engine, state: EngineState, inputs: Vector) -> tuple[Vector, list[float]]:
    """Return `y` of each bin and the time of each step in microseconds."""
    y, times = [], []
    for x in inputs:
        state.x[:] = x
        began = time.perf_counter_ns()
        found = engine.step(state)
        times.append((time.perf_counter_ns() - began) / 1e3)
        y.append(found.copy())
    return np.array(y), times


def one_step_parity(gpu: Engine, cpu: Engine, batch: int = 3) -> str:
    """Step both from equal states, bin after bin; potentials at the threshold may fall otherwise.

    Raises:
        AssertionError: they differ by more than rounding.
    """
    state, worst, flips = cpu.new_state(batch), 0.0, 0
    for x in inputs_of(cpu.model, 200, batch):
        twin = gpu.load_state(cpu.save_state(state))
        state.x[:] = twin.x[:] = x
        y, other = cpu.step(state).copy(), gpu.step(twin)
        found, wanted = gpu.save_state(twin), cpu.save_state(state)
        spikes = [key for key in wanted if key.endswith(".spikes")]
        differ = sum(int((found[key][0] != wanted[key][0]).sum()) for key in spikes)
        flips += differ
        if not differ:
            worst = max(worst, float(np.abs(y - other).max()))
    assert worst < 1e-4, f"y differs by {worst:.1e}"
    assert flips <= 5, f"{flips} spikes differ"
    return f"y within {worst:.1e}, {flips} spikes of 200 steps at the threshold"


def capture_keeps_state(gpu: Engine, cpu: Engine) -> str:
    """A new state is zero behind its capture, and one that is loaded is what was saved.

    Raises:
        AssertionError: the runs before the capture have left something.
    """
    del cpu
    fresh = gpu.new_state(2)
    for key, values in gpu.save_state(fresh).items():
        assert not values.any(), f"{key} is not zero behind the capture"
    inputs = inputs_of(gpu.model, 50, 2)
    stepped(gpu, fresh, inputs)
    saved = gpu.save_state(fresh)
    again = gpu.load_state(saved)
    for key, values in gpu.save_state(again).items():
        np.testing.assert_array_equal(values, saved[key], err_msg=key)
    np.testing.assert_array_equal(stepped(gpu, again, inputs)[0], stepped(gpu, fresh, inputs)[0])
    return "a state is zero behind its capture; saved and resumed is uninterrupted"


def switching(gpu: Engine, cpu: Engine) -> str:
    """Switch both under way; the device's graphs stay valid.

    Raises:
        AssertionError: they differ by more than rounding.
    """
    worst, own = 0.0, gpu.model.dt_us
    state = cpu.new_state(2)
    for dt_us in (own * 2, own, max(own // 40, 1), own):
        resolution = gpu.model.resolution(dt_us)
        twin = gpu.load_state(cpu.save_state(state), state.resolution)
        for engine, each in ((cpu, state), (gpu, twin)):
            engine.set_resolution(each, resolution)
        for key, values in cpu.save_state(state).items():
            np.testing.assert_array_equal(gpu.save_state(twin)[key], values, err_msg=key)
        x = inputs_of(gpu.model, 1, 2)
        y, other = stepped(cpu, state, x)[0], stepped(gpu, twin, x)[0]
        worst = max(worst, float(np.abs(y - other).max()))
    assert worst < 1e-3, f"y differs by {worst:.1e} behind a switch"
    return f"y within {worst:.1e} behind each switch"


def graphs_help(gpu: Engine, cpu: Engine) -> str:
    """A step from captured graphs against the same step without them, in turn.

    Raises:
        AssertionError: captured graphs are no faster, so none was captured.
    """
    del cpu
    plain = CudaEngine(gpu.model, gpu.resolution, captures=False)
    with_graph, without = gpu.new_state(1), plain.new_state(1)
    inputs = inputs_of(gpu.model, STEPS, 1)
    ratios = []
    for _ in range(5):
        ours = np.median(stepped(gpu, with_graph, inputs)[1])
        ratios.append(float(ours / np.median(stepped(plain, without, inputs)[1])))
    ratio = float(np.median(ratios))
    assert ratio < 1.0, f"a step with a graph takes {ratio:.2f} of one without"
    return f"a step with a graph takes {ratio:.2f} of one without"


def auto_measures_it(gpu: Engine, cpu: Engine) -> str:
    """Let `auto` choose: `cuda` takes part, and is taken only where it is the fastest.

    Raises:
        AssertionError: it was left out, or taken although another is faster.
    """
    del cpu
    choice = compare(gpu.model, gpu.resolution)
    assert "cuda" in choice.step_us, f"auto leaves it out: {choice.left_out.get('cuda')}"
    fastest = min(choice.step_us, key=choice.step_us.__getitem__)
    assert choice.engine.name != "cuda" or fastest == "cuda", f"{fastest} is faster"
    return f"auto takes {choice.engine.name}: {choice.why}"


CHECKS: dict[str, Callable[[Engine, Engine], str]] = {
    "one step from equal states": one_step_parity,
    "capture": capture_keeps_state,
    "switching": switching,
    "graphs": graphs_help,
    "auto": auto_measures_it,
}


def latencies(model: StepModel, engines: list[Engine]) -> list[Row]:
    """Return the step times of each engine, in turn."""
    rows = []
    for batch in BATCHES:
        inputs = inputs_of(model, 100, batch)
        states = [engine.new_state(batch) for engine in engines]
        times: list[list[float]] = [[] for _ in engines]
        for _ in range(4):
            for engine, state, found in zip(engines, states, times, strict=True):
                found += stepped(engine, state, inputs)[1]
        for engine, found in zip(engines, times, strict=True):
            p50, p99 = np.percentile(found[100:], (50, 99))
            rows.append((f"{engine.name}, batch {batch}", True, f"{p50:.0f} us, p99 {p99:.0f} us"))
    return rows


def write(rows: list[Row] | str) -> None:
    """Write the page: the rows, or why there are none."""
    if isinstance(rows, str):
        body = f"| all | skipped | {rows} |\n"
    else:
        body = "".join(f"| {name} | {'ok' if ok else 'FAILED'} | {t} |\n" for name, ok, t in rows)
    PAGE.write_text(HEAD + body)


def absent() -> str | None:
    """Return why there is no GPU to check, None where there is one."""
    try:
        subprocess.run(["nvidia-smi", "-L"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "no NVIDIA GPU here: nvidia-smi finds none"
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return "this ONNX Runtime has no CUDA; install retempo[gpu] in place of retempo[cpu]"
    return None


def main() -> int:
    """Check, or say why not; returns the exit code."""
    model = load_step(Path(sys.argv[1]) if sys.argv[1:] else MODEL)
    resolution = model.resolution(max(model.contract.network.source_dt_us // 10, 1))
    reason = absent()
    if reason is not None:
        print(f"gpu-check skipped: {reason}")
        write(reason)
        return 0
    try:
        gpu = load_engine(model, resolution, "cuda")
        cpu = load_engine(model, resolution, "onnx")
    except EngineError as error:
        print(f"gpu-check FAILED: {error}")
        write([("load", False, str(error))])
        return 1
    rows: list[Row] = []
    for name, check in CHECKS.items():
        try:
            rows.append((name, True, check(gpu, cpu)))
        except Exception as error:  # noqa: BLE001  (each failure of a strange machine is a row)
            reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            rows.append((name, False, reason))
    if all(ok for _, ok, _ in rows):
        rows += latencies(model, [gpu, cpu, load_engine(model, resolution, "sparse")])
    for name, ok, text in rows:
        print(f"{'ok' if ok else 'FAILED'}: {name}: {text}")
    write(rows)
    return 0 if all(ok for _, ok, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
