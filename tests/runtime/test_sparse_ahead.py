"""Kernels kept as object code: made once, linked from then on, made anew where damaged."""

import sys
from pathlib import Path

import numpy as np
import pytest

from retempo.runtime.engines.sparse import ahead
from retempo.runtime.engines.sparse.ahead import Ahead


def triple(a: int, b: int) -> int:
    return 3 * a + b


def result_of(kernel: Ahead, a: int, b: int) -> int:
    room = np.zeros(2, np.int64)
    at = room.ctypes.data
    assert kernel.call(at, at + 8, a, b) == 0
    return int(room[0])


def test_object_code_is_kept_linked_and_made_anew_where_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ahead, "folder", tmp_path / "kernels")
    sources = [sys.modules[__name__]]
    assert result_of(Ahead(triple, sources), 5, -1) == 14
    (path,) = (tmp_path / "kernels").iterdir()
    made = path.read_bytes()
    path.write_bytes(made[:-1])
    assert result_of(Ahead(triple, sources), 2, 2) == 8

    def fail(*_: object) -> bytes:
        raise AssertionError("compiled again")

    monkeypatch.setattr(ahead, "_compiled", fail)
    assert result_of(Ahead(triple, sources), 1, 1) == 4
    with pytest.raises(AssertionError, match="compiled again"):
        _ = Ahead(triple, [*sources, ahead]).call
