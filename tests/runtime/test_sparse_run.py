"""Runs of bins in the sparse engine, against its own plain steps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.runtime.errors import EngineError
from retempo.runtime.sparse_bins import SparseBins, without_zeros
from tests.builders import make_network, neuron_names, seeds
from tests.runtime.test_engines import engine_at

CASES = [(1_000, "lag"), (3_000, "lag")]


def draw_bins(size: int, bins: int, seed: int, silence: int = 0) -> SparseBins:
    """Bins with a silence in their middle."""
    rng = np.random.default_rng(seed)
    rows = rng.poisson(0.1, (bins, size)).astype(np.float32)
    quiet = np.zeros((silence, size), np.float32)
    return without_zeros(np.concatenate([rows[: bins // 2], quiet, rows[bins // 2 :]]))


def part(bins: SparseBins, begin: int, end: int) -> SparseBins:
    first, last = bins.starts[begin], bins.starts[end]
    starts = bins.starts[begin : end + 1] - first
    return SparseBins(starts, bins.inputs[first:last], bins.values[first:last])


@settings(max_examples=20)
@given(neuron_names, seeds, st.sampled_from(CASES), st.lists(st.integers(0, 400), max_size=4))
def test_a_run_is_its_steps_however_it_is_cut(
    neuron: str, seed: int, case: tuple[int, str], cuts: list[int]
) -> None:
    """Bit for bit, sleep included; `spikes` are those of the whole run."""
    network = make_network(neuron, seed=seed, stable=True)
    engine = engine_at(network, *case, name="sparse")
    bins = draw_bins(network.spec.input.size, 60, seed, silence=340)
    stepped, run = engine.new_state(), engine.new_state()
    y, fired = [], 0.0
    rows = np.zeros((len(bins), network.spec.input.size), np.float32)
    rows[np.repeat(np.arange(len(bins)), np.diff(bins.starts)), bins.inputs] = bins.values
    for row in rows:
        stepped.x[0] = row
        y.append(engine.step(stepped)[0].copy())
        fired += sum(float(each.sum()) for each in engine.spikes(stepped).values())
    edges = [0, *sorted(cuts), len(bins)]
    got, counted = [], 0.0
    for begin, end in pairwise(edges):
        got.append(engine.run(run, part(bins, begin, end)).copy())
        counted += sum(float(each.sum()) for each in engine.spikes(run).values())
    np.testing.assert_array_equal(np.concatenate(got), np.array(y))
    assert counted == fired
    a, b = engine.save_state(stepped), engine.save_state(run)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def _nothing() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(0, np.int32), np.zeros(0, np.float32)


def test_what_is_no_run_is_refused() -> None:
    engine = engine_at(make_network(), name="sparse")
    size = engine.model.contract.network.input.size
    one = np.ones(1, np.float32)
    with pytest.raises(EngineError, match="the state holds 2"):
        engine.run(engine.new_state(2), SparseBins(np.zeros(2, np.int64), *_nothing()))
    for at in (size, -1):
        bins = SparseBins(np.array([0, 1]), np.array([at], np.int32), one)
        with pytest.raises(EngineError, match=f"inputs from 0 to {size - 1}"):
            engine.run(engine.new_state(), bins)
    wide = SparseBins(np.array([0, 1]), np.array([0]), one)
    with pytest.raises(EngineError, match="inputs int32"):
        engine.run(engine.new_state(), wide)
    short = SparseBins(np.array([0, 2]), np.zeros(1, np.int32), one)
    with pytest.raises(EngineError, match="bins are contiguous"):
        engine.run(engine.new_state(), short)
