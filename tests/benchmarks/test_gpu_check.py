"""The checks of a GPU: they pass on the engine's logic, and notice what is wrong."""

from pathlib import Path

import pytest

from benchmarks import gpu_check
from retempo.demo.assets import MODEL
from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel, load_step
from retempo.runtime.engine import Engine
from retempo.runtime.engines import ENGINES, load_engine
from retempo.runtime.engines.cuda import CudaEngine
from retempo.runtime.errors import EngineError


def engines() -> tuple[CudaEngine, Engine]:
    model = load_step(MODEL)
    resolution = model.resolution(1_000)
    return CudaEngine(model, resolution, device="cpu"), load_engine(model, resolution)


def on_cpu(model: StepModel, resolution: Resolution) -> CudaEngine:
    return CudaEngine(model, resolution, device="cpu")


@pytest.mark.parametrize("name", ["one step from equal states", "capture", "switching"])
def test_the_checks_pass_on_the_engines_logic(name: str) -> None:
    gpu_check.CHECKS[name](*engines())


def test_auto_that_leaves_the_gpu_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, cpu = engines()
    monkeypatch.setattr("retempo.runtime.engines.auto.no_device", lambda: "none here")
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: listed)
    with pytest.raises(AssertionError, match="auto leaves it out: none here"):
        gpu_check.auto_measures_it(gpu, cpu)
    monkeypatch.setattr("retempo.runtime.engines.auto.no_device", lambda: None)
    monkeypatch.setitem(ENGINES, "cuda", f"{__name__}:on_cpu")
    assert " us by cuda" in gpu_check.auto_measures_it(gpu, cpu)


def test_a_capture_that_leaves_something_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, cpu = engines()
    new_state = gpu.new_state

    def corrupted(batch: int = 1) -> object:
        state = new_state(batch)
        state.x[:] = 1.0
        gpu.step(state)
        return state

    monkeypatch.setattr(gpu, "new_state", corrupted)
    with pytest.raises(AssertionError, match="is not zero behind the capture"):
        gpu_check.capture_keeps_state(gpu, cpu)


def test_without_a_gpu_the_page_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_check, "PAGE", tmp_path / "gpu.md")
    monkeypatch.setattr(gpu_check, "absent", lambda: "no NVIDIA GPU here")
    monkeypatch.setattr("sys.argv", ["gpu_check"])
    assert gpu_check.main() == 0
    assert capsys.readouterr().out == "gpu-check skipped: no NVIDIA GPU here\n"
    assert "| all | skipped | no NVIDIA GPU here |" in (tmp_path / "gpu.md").read_text()


def test_a_gpu_that_does_not_load_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object) -> Engine:
        raise EngineError("no cuDNN")

    monkeypatch.setattr(gpu_check, "PAGE", tmp_path / "gpu.md")
    monkeypatch.setattr(gpu_check, "absent", lambda: None)
    monkeypatch.setattr(gpu_check, "load_engine", refuse)
    monkeypatch.setattr("sys.argv", ["gpu_check"])
    assert gpu_check.main() == 1
    assert "gpu-check FAILED: no cuDNN" in capsys.readouterr().out
    assert "| load | FAILED | no cuDNN |" in (tmp_path / "gpu.md").read_text()
