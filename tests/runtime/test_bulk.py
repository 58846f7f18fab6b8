"""Bulk replay: batches of recordings without their zeros."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.exporters.description import GridSpec
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.bulk import decide_all, sparse_bins
from retempo.runtime.engine import Engine
from retempo.runtime.engines import load_engine
from retempo.runtime.errors import InputError
from retempo.runtime.layout import layout_of
from retempo.runtime.recorded import bin_recording
from retempo.runtime.sparse_bins import with_zeros
from tests.builders import make_chunk, make_network, seeds


@pytest.fixture(params=["onnx", "sparse"])
def engine(request: pytest.FixtureRequest) -> Engine:
    network = make_network(geometry=GridSpec(6, 5, 2))
    model = build_step(network, resolve(network.spec, 1_000, "lag"))
    return load_engine(parse_step(model.SerializeToString(), "m.onnx"), name=request.param)


def test_a_batch_decides_recordings_of_any_length(engine: Engine) -> None:
    chunks = [make_chunk(events, 6, 5, 400 * events + 1, events) for events in (1, 40, 0, 90)]
    layout = layout_of(engine.model.contract.network.input)
    recordings = [sparse_bins(chunk, layout, 1_000) for chunk in chunks]
    alone, together = decide_all(engine, recordings), decide_all(engine, recordings, batch=4)
    assert np.isnan(alone.scores[2]).all()
    np.testing.assert_allclose(together.scores, alone.scores, atol=1e-4)
    assert together.steps == alone.steps == sum(len(recording) for recording in recordings)
    assert together.spike_rate_hz == pytest.approx(alone.spike_rate_hz)


@given(seeds, st.integers(0, 12), st.integers(0, 12))
def test_sparse_bins_are_dense_bins_without_their_zeros(seed: int, n: int, at: int) -> None:
    """Whole and in parts."""
    layout = layout_of(make_network(geometry=GridSpec(6, 5, 2)).spec.input)
    chunk = make_chunk(9 * n, 6, 5, 1_000 * n + 1, seed)
    sparse, dense = sparse_bins(chunk, layout, 1_000), bin_recording(chunk, layout, 1_000)[0]
    np.testing.assert_array_equal(with_zeros(sparse, 60), dense)
    assert (sparse.values != 0).all()
    at = min(at, len(sparse))
    parts = (sparse.part(0, at), sparse.part(at, len(sparse)))
    found = np.concatenate([with_zeros(part, 60) for part in parts])
    np.testing.assert_array_equal(found, dense)


def test_lists_of_a_long_recording_take_what_its_entries_take() -> None:
    """As rows they would take 40 GB."""
    layout = layout_of(make_network(geometry=GridSpec(100, 100, 2)).spec.input)
    chunk = make_chunk(50, 100, 100, 500_000_000)
    bins = sparse_bins(chunk, layout, 1_000)
    assert len(bins) == chunk.t_us[-1] // 1_000 - chunk.t_us[0] // 1_000 + 1
    assert bins.values.sum() == 50
    far = replace(chunk, t_us=chunk.t_us * 10_000, t_end_us=0)
    with pytest.raises(InputError, match="too long to be held at once"):
        sparse_bins(far, layout, 1)


def test_the_spike_rate_counts_the_spikes_of_every_step(engine: Engine) -> None:
    layout = layout_of(engine.model.contract.network.input)
    chunk = make_chunk(400, 6, 5, 60_000, 1)
    for dt_us, method in ((1_000, "lag"), (30_000, "substep")):
        resolution = engine.model.resolution(dt_us, method)
        recording = sparse_bins(chunk, layout, dt_us)
        state, fired = engine.new_state(1, resolution), 0.0
        for row in bin_recording(chunk, layout, dt_us)[0]:
            state.x[0] = row
            engine.step(state)
            fired += sum(float(spikes.sum()) for spikes in engine.spikes(state).values())
        assert fired > 0
        span_s = len(recording) * dt_us / 1e6
        neurons = sum(layer.neurons for layer in engine.model.contract.network.layers[:-1])
        rate_hz = decide_all(engine, [recording], resolution=resolution).spike_rate_hz
        assert rate_hz == pytest.approx(fired / neurons / span_s)
