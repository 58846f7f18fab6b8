"""Odd arrays never reach the compiled code of the sparse engine: they are read by address there."""

import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from retempo.runtime.engine import Engine
from retempo.runtime.errors import EngineError
from retempo.runtime.sparse_bins import SparseBins, without_zeros
from tests.builders import make_network
from tests.runtime.test_engines import engine_at

Odd = Callable[[np.ndarray], Any]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return engine_at(make_network(), name="sparse")


@pytest.fixture
def bins(engine: Engine) -> SparseBins:
    size = engine.model.contract.network.input.size
    rows = np.random.default_rng(5).poisson(0.5, (6, size)).astype(np.float32)
    return without_zeros(rows)


def every_other(array: np.ndarray) -> np.ndarray:
    return np.repeat(array, 2)[::2]


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array: np.ndarray) -> np.ndarray:
    room = np.zeros(array.nbytes + 1, np.uint8)
    moved = room[1:].view(array.dtype)
    moved[:] = array
    return moved


ODD: dict[str, tuple[Odd, str]] = {
    "a list": (lambda array: array.tolist(), "of list"),
    "float64": (lambda array: array.astype(np.float64), "float64"),
    "int16": (lambda array: array.astype(np.int16), "int16"),
    "big-endian": (lambda array: array.astype(array.dtype.newbyteorder(">")), ">"),
    "not contiguous": (every_other, "not contiguous"),
    "backwards": (lambda array: array[::-1].copy()[::-1], "not contiguous"),
    "read-only": (read_only, "read-only"),
    "not aligned": (unaligned, "not aligned"),
    "two rows": (lambda array: np.stack([array, array]), "(2, "),
    "no side": (lambda array: np.array(array[0]), "()"),
    "empty": (lambda array: array[:0], "(0,)"),
    "shorter": (lambda array: array[:-1].copy(), ""),
}


FIELDS = ("starts", "inputs", "values")
# Starts that are one fewer are those of one bin fewer.
CASES = [(field, odd) for field in FIELDS for odd in ODD if (field, odd) != ("starts", "shorter")]


@pytest.mark.parametrize(("field", "odd"), CASES)
def test_an_odd_array_is_refused_in_one_line_and_changes_nothing(
    engine: Engine, bins: SparseBins, field: str, odd: str
) -> None:
    make, said = ODD[odd]
    state = engine.new_state()
    before = engine.save_state(state)
    with pytest.raises(EngineError, match="bins are contiguous, aligned, writable arrays") as error:
        engine.run(state, msgspec.structs.replace(bins, **{field: make(getattr(bins, field))}))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    for name, values in engine.save_state(state).items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize(
    "starts",
    [[-1, 2], [0, 3, 1, 4], [2, -(2**62)], [0, 2**62], [-(2**63), 0], [3, 2]],
    ids=str,
)
def test_starts_that_are_none_are_refused(engine: Engine, starts: list[int]) -> None:
    inputs, values = np.arange(5, dtype=np.int32), np.ones(5, np.float32)
    with pytest.raises(EngineError):
        engine.run(engine.new_state(), SparseBins(np.array(starts), inputs, values))


def test_the_input_of_a_state_is_written_in_place_and_cannot_be_exchanged(engine: Engine) -> None:
    state: Any = engine.new_state()
    with pytest.raises(AttributeError):
        state.x = np.zeros(state.x.shape, np.float64)
    with pytest.raises(ValueError, match="could not broadcast"):
        state.x[:] = np.zeros((1, state.x.shape[1] + 1))


class Other(np.ndarray):
    """Of another type, and no other array."""


SAME: dict[str, Odd] = {
    "a subclass": lambda array: array.view(Other),
    "pickled": lambda array: pickle.loads(pickle.dumps(array)),  # noqa: S301
    "of another name": lambda array: array.view({"l": "q", "i": "i", "f": "f"}[array.dtype.char]),
    "with metadata": lambda array: array.view(np.dtype(array.dtype, metadata={"from": "a file"})),
}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("same", SAME)
def test_an_array_that_is_the_same_by_another_name_is_read(
    engine: Engine, bins: SparseBins, field: str, same: str
) -> None:
    expected = engine.run(engine.new_state(), bins)
    other = msgspec.structs.replace(bins, **{field: SAME[same](getattr(bins, field))})
    np.testing.assert_array_equal(engine.run(engine.new_state(), other), expected)


def test_entries_beyond_the_last_start_are_not_looked_at(engine: Engine, bins: SparseBins) -> None:
    more = SparseBins(
        bins.starts, np.append(bins.inputs, np.int32(-7)), np.append(bins.values, np.float32(1.0))
    )
    expected = engine.run(engine.new_state(), bins)
    np.testing.assert_array_equal(engine.run(engine.new_state(), more), expected)
