"""Fault 22: where there is no GPU, or no room on it, the start fails or the CPU is taken aloud."""

import json
from pathlib import Path
from typing import Any

import pytest

from retempo.exporters.step_model import parse_step
from retempo.runtime.engine_fallback import load_engine_or
from retempo.runtime.engines import ENGINES
from retempo.runtime.engines.session import onnxruntime
from retempo.runtime.errors import EngineError
from retempo.runtime.serve_config import ServeConfig
from retempo.runtime.serving import deployment_of
from tests.cli.conftest import Invoke, invoke
from tests.runtime.live_model import config_text, model_bytes, network, serving

pytestmark = pytest.mark.fault(22)

__all__ = ["invoke"]

A = model_bytes(network(0))
GPU = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
needs_no_gpu = pytest.mark.skipif(GPU, reason="this ONNX Runtime has CUDA; the rest tests it")


def folder_of(tmp_path: Path, fallback: str = "") -> Path:
    (tmp_path / "a.onnx").write_bytes(A)
    text = config_text().replace('name = "sparse"', f'name = "cuda"\n{fallback}')
    (tmp_path / "serve.toml").write_text(text)
    return tmp_path


@needs_no_gpu
def test_cuda_that_is_missing_fails_the_start(tmp_path: Path, invoke: Invoke) -> None:
    outcome = invoke("serve", folder_of(tmp_path) / "serve.toml")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("retempo: the engine cuda needs ONNX Runtime with CUDA;")
    assert outcome.err.endswith('or set [engine] fallback = "cpu"\n')


@needs_no_gpu
def test_the_cpu_is_taken_where_the_configuration_says_so(tmp_path: Path) -> None:
    with serving(folder_of(tmp_path, 'fallback = "cpu"')) as daemon:
        assert daemon.status()["model"]["engine"] in ("sparse", "onnx")
        code, log = daemon.end()
    assert code == 0
    (warning,) = [line for line in log if line["event"] == "engine_fallback"]
    assert (warning["level"], warning["taken"]) == ("warning", "auto")
    assert warning["reason"].startswith("the engine cuda needs ONNX Runtime with CUDA")


class Full:
    """A device without room: the session opens, and a state does not fit."""

    def __init__(self, *_: Any) -> None:
        pass

    def new_state(self, batch: int) -> object:
        raise RuntimeError(f"Failed to allocate memory for\nrequested buffer of {batch} streams")


def test_no_room_on_the_device_is_named_or_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "cuda", f"{__name__}:Full")
    model = parse_step(A, "a.onnx")
    with pytest.raises(EngineError) as caught:
        load_engine_or(model, model.resolution(), "cuda", "none")
    assert str(caught.value) == (
        "the engine cuda cannot hold a.onnx: Failed to allocate memory for requested buffer of 1 "
        'streams; free memory on the GPU, use another engine, or set [engine] fallback = "cpu"'
    )
    told: list[str] = []
    engine = load_engine_or(model, model.resolution(), "cuda", "cpu", told.append)
    assert engine.name in ("sparse", "onnx")
    assert told == ["Failed to allocate memory for requested buffer of 1 streams"]


def test_auto_goes_on_without_the_gpu_that_a_checkpoint_was_written_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "cuda", f"{__name__}:Full")
    (tmp_path / "a.onnx").write_bytes(A)
    config = ServeConfig(model="a.onnx")
    told: list[str] = []
    for written_by, said in (
        ("cuda", ["Failed to allocate memory for requested buffer of 1 streams"]),
        ("onnx", []),
    ):
        monkeypatch.setattr(
            "retempo.runtime.serving.engine_to_load", lambda *_, name=written_by: name
        )
        engine = deployment_of(config, tmp_path, fallen_back=told.append).engine
        assert engine.name in ("sparse", "onnx")
        assert told == said
        told.clear()
    assert engine.why == "the newest checkpoint of this model was written by it"


def test_another_engine_never_falls_back() -> None:
    model = parse_step(A, "a.onnx")
    with pytest.raises(EngineError, match="unknown engine 'quantum'"):
        load_engine_or(model, model.resolution(), "quantum", "cpu")


def test_an_unknown_fallback_is_refused(tmp_path: Path, invoke: Invoke) -> None:
    outcome = invoke("serve", folder_of(tmp_path, 'fallback = "gpu"') / "serve.toml", "--json")
    assert outcome.code == 1
    assert "fallback" in outcome.err
    assert json.dumps("gpu")[1:-1] in outcome.err
