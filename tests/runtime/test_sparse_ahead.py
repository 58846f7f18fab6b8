"""Kernels kept as object code: made once, linked from then on, made anew where damaged."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
import pytest
from llvmlite import binding

from retempo.runtime.engines.sparse import ahead, compiling, entry, views
from retempo.runtime.engines.sparse.ahead import Ahead
from retempo.runtime.engines.sparse.compiling import Part, object_code, part
from retempo.runtime.engines.sparse.relay import RELAY


def triple(a: int, b: int) -> int:
    return 3 * a + b


def minus(a: int, b: int) -> int:
    return a - b


SOURCES = [sys.modules[__name__]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where kernels are kept in this test, and nowhere else."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    return Ahead(triple, SOURCES).folder


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kernels that were compiled, in their order."""
    names: list[str] = []

    def compile_(kernel: Any, arguments: int) -> bytes:
        names.append(kernel.__name__)
        return object_code(kernel, arguments)

    monkeypatch.setattr(ahead, "object_code", compile_)
    return names


def result_of(kernel: Ahead, a: int, b: int) -> int:
    room = np.zeros(2, np.int64)
    at = room.ctypes.data
    assert kernel.call(at, at + 8, a, b) == 0
    return int(room[0])


def test_object_code_is_kept_and_linked_from_then_on(folder: Path, compiled: list[str]) -> None:
    assert result_of(Ahead(triple, SOURCES), 5, -1) == 14
    assert [each.name for each in folder.iterdir()] == [Ahead(triple, SOURCES).path.name]
    assert result_of(Ahead(triple, SOURCES), 1, 1) == 4
    assert compiled == ["triple"]


def damaged(made: bytes, other: bytes) -> Iterator[bytes]:
    yield b""
    yield made[:20]
    yield made[:-1]
    yield made + b"\0"
    yield made[:-100] + bytes([made[-100] ^ 1]) + made[-99:]
    yield other


def test_a_damaged_truncated_or_foreign_file_is_made_anew(
    folder: Path, compiled: list[str]
) -> None:
    """A foreign one is whole, but made from something else: here another kernel."""
    assert result_of(Ahead(minus, SOURCES), 5, 1) == 4
    kernel = Ahead(triple, SOURCES)
    assert result_of(kernel, 5, -1) == 14
    made, other = kernel.path.read_bytes(), Ahead(minus, SOURCES).path.read_bytes()
    for number, content in enumerate(damaged(made, other)):
        kernel.path.write_bytes(content)
        assert result_of(Ahead(triple, SOURCES), 2, 2) == 8
        assert compiled == ["minus", "triple"] + ["triple"] * (number + 1)
        assert kernel.path.read_bytes() == made


def test_a_folder_that_cannot_be_written_is_still_read(
    folder: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result_of(Ahead(triple, SOURCES), 1, 1)
    elsewhere = folder.parent / "elsewhere"
    monkeypatch.setattr(Ahead, "folder", elsewhere)  # what Numba finds when it cannot write there
    assert result_of(Ahead(triple, SOURCES), 2, 2) == 8
    assert compiled == ["triple"]
    assert not elsewhere.exists()


def test_a_kernel_that_can_be_kept_nowhere_is_compiled(
    folder: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file in its place: no folder can be made, whoever asks.
    (folder.parent / "file").write_bytes(b"")
    monkeypatch.setattr(Ahead, "folder", folder.parent / "file" / "kernels")
    assert result_of(Ahead(triple, SOURCES), 2, 2) == 8

    def nowhere(_: Ahead) -> Path:
        raise RuntimeError("no locator available")

    monkeypatch.setattr(Ahead, "folder", property(nowhere))
    assert result_of(Ahead(triple, SOURCES), 1, 2) == 5
    assert compiled == ["triple", "triple"]


def test_a_full_disk_leaves_no_half_written_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert result_of(Ahead(triple, SOURCES), 2, 2) == 8
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (sys, "version"),
        (llvmlite, "__version__"),
        (numba, "__version__"),
        (np, "__version__"),
        (binding, "get_host_cpu_name"),
        (binding, "get_host_cpu_features"),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_another_compiler_or_processor_is_another_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, owner: ModuleType, name: str
) -> None:
    before = Ahead(triple, SOURCES).path
    other: Any = "other"
    if name == "get_host_cpu_name":
        other = lambda: "other"  # noqa: E731
    elif name == "get_host_cpu_features":
        features = binding.get_host_cpu_features()
        features["other"] = True
        other = lambda: features  # noqa: E731
    monkeypatch.setattr(owner, name, other)
    assert Ahead(triple, SOURCES).path != before


def test_another_source_is_another_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the kernel, and of what compiles it."""
    paths = {Ahead(triple, SOURCES).path}
    for number, module in enumerate([*SOURCES, ahead, compiling, views]):
        changed = tmp_path / f"{number}.py"
        changed.write_bytes(Path(str(module.__file__)).read_bytes() + b"#")
        with monkeypatch.context() as patch:
            patch.setattr(module, "__file__", str(changed))
            paths.add(Ahead(triple, SOURCES).path)
    assert len(paths) == 5


@pytest.mark.parametrize("kernel", [entry.ENTRY, RELAY], ids=["entry", "relay"])
def test_all_that_a_kernel_calls_is_among_its_sources(
    kernel: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = set()
    add = Part.add_overload

    def note(self: Part, result: Any) -> None:
        called.add(self.py_func.__module__)
        add(self, result)

    monkeypatch.setattr(Part, "add_overload", note)
    for each in [value for value in _everything() if isinstance(value, Part)]:
        monkeypatch.setattr(each, "overloads", type(each.overloads)())
    object_code(kernel._kernel, kernel._arguments)
    assert kernel._kernel.__module__ in called
    assert called <= {module.__name__ for module in kernel._sources}


def _everything() -> Iterator[object]:
    for name, module in list(sys.modules.items()):
        if name.startswith("retempo."):
            yield from vars(module).values()


WORK = """
import sys
from retempo.runtime.engines.sparse.relay import RELAY
sys.stdin.read()
RELAY.call
print(RELAY.path)
"""


def test_processes_that_compile_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORK],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    paths = {worker.communicate(timeout=120)[0].strip() for worker in workers}
    (path,) = paths
    assert all(worker.returncode == 0 for worker in workers)
    assert [str(each) for each in Path(path).parent.iterdir()] == [path]
    assert ahead._read(Path(path), RELAY._origin()) is not None


@part()
def _double(a: int) -> int:
    return 2 * a


def test_a_part_of_a_kernel_runs_in_python_before_and_after_it_is_compiled() -> None:
    def quadruple(a: int) -> int:
        return _double(_double(a))

    assert _double(4) == 8
    assert object_code(quadruple, 1)
    assert _double(4) == 8
