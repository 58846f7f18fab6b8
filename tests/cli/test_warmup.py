"""`retempo warmup`: what is compiled beforehand, and what is left out."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.engines import ENGINES
from retempo.runtime.engines.sparse.ahead import Ahead
from retempo.runtime.engines.sparse.entry import ENTRY
from retempo.runtime.errors import EngineError
from retempo.sensors.events import EventChunk
from retempo.sensors.files.evt_writer import WrittenVersion, write_evt
from retempo.sensors.geometry import GridGeometry
from tests.cli.conftest import Invoke

WORKS = ["sparse engine", "sparse, bins", "onnx, bins", "auto, bins", "raw EVT words", "decoders"]


def absent(model: StepModel, resolution: Resolution) -> NoReturn:
    raise EngineError("this engine needs what is not here")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "cuda", f"{__name__}:absent")


def test_a_missing_gpu_is_named_and_fails_nothing(invoke: Invoke, no_gpu: None) -> None:
    outcome = invoke("warmup", "--json")
    found: Any = outcome.json
    assert (outcome.code, outcome.err) == (0, "")
    assert list(found["seconds"]) == WORKS
    assert all(seconds >= 0.0 for seconds in found["seconds"].values())
    assert found["left_out"] == {"cuda, bins": "this engine needs what is not here"}
    assert found["folder"] == str(ENTRY.folder)
    assert ENTRY.path.is_file()


def test_a_person_reads_the_same_line_by_line(invoke: Invoke, no_gpu: None) -> None:
    outcome = invoke("warmup")
    lines = outcome.out.splitlines()
    assert outcome.code == 0
    assert [line[:16].strip() for line in lines[:-1]] == [*WORKS[:4], "cuda, bins", *WORKS[4:]]
    assert "left out: this engine needs what is not here" in lines[4]
    assert lines[-1] == f"kept in {ENTRY.folder}"


def test_an_engine_that_every_machine_has_must_not_fail(
    invoke: Invoke, no_gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "onnx", ENGINES["cuda"])
    outcome = invoke("warmup")
    assert outcome.code == 1
    assert outcome.err == "retempo: this engine needs what is not here\n"


def test_a_cache_that_cannot_be_written_fails(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(_: Ahead) -> Path:
        raise RuntimeError("no locator available")

    monkeypatch.setattr(Ahead, "folder", property(nowhere))
    outcome = invoke("warmup")
    assert outcome.code == 1
    assert outcome.out == ""
    assert "NUMBA_CACHE_DIR" in outcome.err
    assert outcome.err.count("\n") == 1


READ = """
import json, sys
from numba.core.dispatcher import Dispatcher
from retempo.cli.warmup import _bin_words
from retempo.exporters.description import GridSpec, InputSpec
from retempo.runtime.counters import Counters
from retempo.runtime.fused import bin_evt_file, list_evt_file
from retempo.runtime.layout import layout_of
from retempo.sensors.files import open_recording, read_all

def made():
    found = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("retempo."):
            for key, value in vars(module).items():
                if isinstance(value, Dispatcher):
                    found[f"{name}.{key}"] = len(value.overloads)
    return found

if sys.argv[1] == "warm":
    _bin_words()
before, binned = made(), 0
for path in sys.argv[2:]:
    layout = layout_of(InputSpec(GridSpec(12, 9, 2)))
    for read in (list_evt_file, bin_evt_file):
        counters = Counters()
        for _ in read(path, layout, 1_000, counters):
            pass
        binned += counters.binned
    read_all(open_recording(path))
after = made()
changed = sorted(name for name in after if after[name] != before.get(name, 0))
print(json.dumps({"changed": changed, "binned": binned}))
"""


@pytest.fixture
def raw_files(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(3)
    chunk = EventChunk(
        np.sort(rng.integers(0, 30_000, 200)),
        30_000,
        x=rng.integers(0, 12, 200).astype(np.uint16),
        y=rng.integers(0, 9, 200).astype(np.uint16),
        on=rng.random(200) < 0.5,
    )
    versions: list[WrittenVersion] = ["2", "3"]
    for version in versions:
        write_evt(version, tmp_path / f"{version}.raw", GridGeometry(12, 9), iter([chunk]))
    return sorted(tmp_path.glob("*.raw"))


@pytest.mark.parametrize("warm", [True, False])
def test_raw_files_need_no_kernel_that_was_not_warmed(raw_files: list[Path], *, warm: bool) -> None:
    """In a process of its own, which has no kernel yet; without the warm-up it needs many."""
    arguments = ["warm" if warm else "cold", *map(str, raw_files)]
    done = subprocess.run(
        [sys.executable, "-c", READ, *arguments], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["binned"] == 800
    names = {name.rpartition(".")[2] for name in found["changed"]}
    assert names == set() if warm else names > {"advance", "drain"}
