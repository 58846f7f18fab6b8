"""A chain of filters goes on where it was saved; the state of another is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import FilterError
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import Chain, parse_filter
from retempo.sensors.filters.saved import load_chain, saved_chain
from retempo.sensors.geometry import GridGeometry
from tests.builders import cut, make_chunk, seeds

GRID = GridGeometry(12, 9)
EVERY = [
    *("refractory=300us", "background=2ms", "hot-pixels=3ms", "rate-cap=30000", "rotate=90"),
    *("flip=y", "polarity=on", "crop=1,1,8x8", "downsample=2", "merge-polarity"),
]


def started(texts: list[str]) -> Chain:
    return Chain.start([parse_filter(text) for text in texts], GRID)


def columns(chunk: EventChunk) -> list[list[Any]]:
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    return [each.tolist() for each in (chunk.t_us, chunk.x, chunk.y, chunk.on)]


@pytest.mark.parametrize("text", EVERY)
@given(seed=seeds, at=st.integers(0, 400))
def test_saved_and_resumed_is_uninterrupted(text: str, seed: int, at: int) -> None:
    first, second = cut(make_chunk(400, 13, 9, 20_000, seed), [at])
    whole, resumed = started([text]), started([text])
    whole.apply(first)
    saved = saved_chain(whole)
    load_chain(resumed, saved)
    expected = whole.apply(second)
    found = resumed.apply(second)
    assert columns(found) == columns(expected)
    assert found.removed == expected.removed
    # The copy is one: what was saved does not move.
    third = started([text])
    load_chain(third, saved)
    assert columns(third.apply(second)) == columns(expected)


def test_the_state_of_another_chain_is_refused() -> None:
    chain = started(["refractory=1ms", "hot-pixels=1s"])
    saved = saved_chain(chain)
    for other in (["refractory=1ms"], ["hot-pixels=1s", "refractory=1ms"], ["rate-cap=10"]):
        with pytest.raises(FilterError, match="the saved"):
            load_chain(started(other), saved)
    smaller = Chain.start(chain.filters, GridGeometry(5, 5))
    with pytest.raises(FilterError, match=r"expected int64 \(25,\)"):
        load_chain(smaller, saved)
    with pytest.raises(FilterError, match="no whole number"):
        load_chain(
            started(["hot-pixels=1s"]),
            saved_chain(started(["hot-pixels=1s"])) | {"0.begins_us": 1.5},
        )


def test_a_state_that_cannot_be_saved_is_named() -> None:
    chain = started(["flip=x"])
    chain.states[0] = np.zeros(3)
    with pytest.raises(FilterError, match="the state of the filter flip is ndarray"):
        saved_chain(chain)
