"""`auto` measures what there is, chooses by it and says why; a GPU only where it is faster."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import pytest

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel, parse_step
from retempo.runtime.engine import EngineState, Vector
from retempo.runtime.engine_fallback import load_engine_or
from retempo.runtime.engines import ENGINES, load_engine
from retempo.runtime.engines import auto as choosing
from retempo.runtime.engines.cuda import CudaEngine
from retempo.runtime.engines.cuda_device import no_device
from retempo.runtime.engines.onnx import OnnxEngine
from retempo.runtime.engines.sparse import SparseEngine
from retempo.runtime.sparse_bins import SparseBins
from retempo.runtime.trial import TrialSettings, examine
from tests.runtime.live_model import model_bytes, network

CONTENT = model_bytes(network(0))
MODEL = parse_step(CONTENT, "m.onnx")
AT = MODEL.resolution()
Jobs = Sequence[tuple[EngineState, SparseBins]]


@dataclass
class Costs:
    """A clock by hand: what a call of each engine takes, `(a call, a bin of a stream)`."""

    us: dict[str, tuple[float, float]]
    now_us: float = 0.0

    def watch(self, monkeypatch: pytest.MonkeyPatch, engine: type[Any]) -> None:
        run_many = engine.run_many

        def timed(it: Any, jobs: Jobs) -> list[Vector]:
            call_us, bin_us = self.us[it.name]
            longest = max(len(bins) for _, bins in jobs)
            self.now_us += call_us * longest + bin_us * sum(len(bins) for _, bins in jobs)
            found: list[Vector] = run_many(it, jobs)
            return found

        monkeypatch.setattr(engine, "run_many", timed)


Prices = Callable[..., Costs]


@pytest.fixture
def priced(monkeypatch: pytest.MonkeyPatch) -> Prices:
    """Let each engine take so long, with a GPU where `cuda` has a price."""

    def price(**us: tuple[float, float]) -> Costs:
        costs = Costs(us)
        for engine in (SparseEngine, OnnxEngine, CudaEngine):
            costs.watch(monkeypatch, engine)
        clock = lambda: int(costs.now_us * 1e3)  # noqa: E731
        monkeypatch.setattr("time.perf_counter_ns", clock)
        listed = ["CUDAExecutionProvider"] if "cuda" in us else []
        monkeypatch.setattr(
            "onnxruntime.get_available_providers", lambda: [*listed, "CPUExecutionProvider"]
        )
        monkeypatch.setattr(choosing, "no_device", lambda: None)
        monkeypatch.setitem(ENGINES, "cuda", f"{__name__}:on_cpu")
        return costs

    return price


def on_cpu(model: StepModel, resolution: Resolution) -> CudaEngine:
    return CudaEngine(model, resolution, device="cpu")


def broken(model: StepModel, resolution: Resolution) -> CudaEngine:
    del model, resolution
    raise RuntimeError("CUDA failure 2:\n out of memory")


def tiring(model: StepModel, resolution: Resolution) -> CudaEngine:
    """It fails once it has been timed for a while."""
    engine, calls = on_cpu(model, resolution), count()
    run_many = engine.run_many

    def failing(jobs: Jobs) -> list[Vector]:
        if next(calls) > 3:
            raise RuntimeError("CUDA failure 719: unspecified launch failure")
        return run_many(jobs)

    engine.run_many = failing  # type: ignore[method-assign]
    return engine


def wrong(model: StepModel, resolution: Resolution) -> CudaEngine:
    engine = on_cpu(model, resolution)
    run_many = engine.run_many

    def shifted(jobs: Jobs) -> list[Vector]:
        return [y + np.float32(0.5) for y in run_many(jobs)]

    engine.run_many = shifted  # type: ignore[method-assign]
    return engine


def test_a_gpu_is_taken_where_it_is_faster_and_the_reason_names_all(priced: Prices) -> None:
    priced(sparse=(0, 100.0), onnx=(0, 200.0), cuda=(0, 50.0))
    engine = load_engine(MODEL, AT)
    assert engine.name == "cuda"
    assert engine.why == (
        "50.0 us a step against 100.0 us by sparse, 200.0 us by onnx, at 2% of inputs active"
    )


@pytest.mark.parametrize(("cuda_us", "taken"), [(76.0, "cuda"), (78.0, "sparse")])
def test_near_a_tie_the_engine_of_every_machine_is_taken(
    priced: Prices, cuda_us: float, taken: str
) -> None:
    priced(sparse=(0, 100.0), onnx=(0, 200.0), cuda=(0, cuda_us))
    assert load_engine(MODEL, AT).name == taken


@pytest.mark.parametrize(("batch", "taken"), [(1, "cuda"), (8, "onnx"), (200, "onnx")])
def test_the_deployments_batch_is_what_is_measured(priced: Prices, batch: int, taken: str) -> None:
    # A call of onnx costs the same for any number of streams; a GPU steps one after the other.
    priced(sparse=(0, 100.0), onnx=(200.0, 1.0), cuda=(0, 60.0))
    engine = load_engine(MODEL, AT, batch=batch)
    assert engine.name == taken
    together = min(batch, 64)
    assert f"{200 / together + 1:.1f} us" in engine.why
    assert (f", {together} streams in a call" in engine.why) == (batch > 1)


def test_without_cuda_in_onnx_runtime_nothing_is_said_of_it(priced: Prices) -> None:
    priced(sparse=(0, 100.0), onnx=(0, 200.0))
    assert "cuda" not in load_engine(MODEL, AT).why


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ("broken", "CUDA failure 2: out of memory"),
        ("tiring", "CUDA failure 719: unspecified launch failure"),
        ("wrong", "its first outputs are 0.5 away from those of onnx"),
    ],
)
def test_a_gpu_that_fails_is_left_out_aloud(
    priced: Prices, monkeypatch: pytest.MonkeyPatch, engine: str, reason: str
) -> None:
    priced(sparse=(0, 100.0), onnx=(0, 200.0), cuda=(0, 50.0))
    monkeypatch.setitem(ENGINES, "cuda", f"{__name__}:{engine}")
    taken = load_engine(MODEL, AT)
    assert taken.name == "sparse"
    assert taken.why.endswith(f"at 2% of inputs active; cuda left out: {reason}")


def test_a_machine_without_a_gpu_says_so(priced: Prices, monkeypatch: pytest.MonkeyPatch) -> None:
    priced(sparse=(0, 100.0), onnx=(0, 200.0), cuda=(0, 50.0))
    monkeypatch.setattr(choosing, "no_device", lambda: "the NVIDIA driver finds no GPU")
    assert load_engine(MODEL, AT).why.endswith("; cuda left out: the NVIDIA driver finds no GPU")


def test_who_falls_back_from_a_gpu_is_not_given_it_again(
    priced: Prices, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced(sparse=(0, 100.0), onnx=(0, 200.0), cuda=(0, 50.0))
    assert load_engine_or(MODEL, AT, "auto", "none").name == "cuda"
    monkeypatch.setitem(ENGINES, "cuda", f"{__name__}:broken")
    told: list[str] = []
    engine = load_engine_or(MODEL, AT, "cuda", "cpu", told.append)
    assert (engine.name, told) == ("sparse", ["CUDA failure 2: out of memory"])
    assert "cuda" not in engine.why


@pytest.mark.parametrize(("memory_bytes", "engine"), [(4 << 30, "sparse"), (0, "cuda")])
def test_a_trial_whose_memory_is_limited_is_on_the_cpu(
    priced: Prices, memory_bytes: int, engine: str
) -> None:
    priced(sparse=(0, 100.0), onnx=(0, 200.0), cuda=(0, 50.0))
    settings = TrialSettings(memory_bytes=memory_bytes)
    assert examine(CONTENT, settings).engine == engine


class Driver:
    """A driver that answers with these numbers."""

    def __init__(self, initialised: int, counted: int = 0, devices: int = 0) -> None:
        self._initialised, self._counted, self._devices = initialised, counted, devices

    def cuInit(self, flags: int) -> int:  # noqa: N802  (the driver's own names)
        assert flags == 0
        return self._initialised

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._devices
        return self._counted


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (Driver(100), "the NVIDIA driver fails with error 100, see nvidia-smi"),
        (Driver(0, 3), "the NVIDIA driver fails with error 3, see nvidia-smi"),
        (Driver(0, 0, 0), "the NVIDIA driver finds no GPU"),
        (Driver(0, 0, 2), None),
    ],
)
def test_the_driver_is_asked_for_its_devices(
    monkeypatch: pytest.MonkeyPatch, driver: Driver, reason: str | None
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    assert no_device() == reason


def test_without_a_driver_there_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert no_device() == "there is no NVIDIA driver here (libcuda.so.1)"
