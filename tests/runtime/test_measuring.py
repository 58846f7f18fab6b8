"""Statistics of unlabelled recordings, and the models that carry them."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from retempo.exporters.connections import product
from retempo.exporters.contract import METADATA_KEY
from retempo.exporters.description import BinMode, connection_of, norm_of
from retempo.exporters.errors import AdaptationError, ContractError, UnfitError
from retempo.exporters.network import Network
from retempo.exporters.resolution import resolve
from retempo.exporters.statistics import Statistics
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import StepModel, network_of, parse_step
from retempo.runtime.bulk import decide_all, sparse_bins
from retempo.runtime.engines import load_engine
from retempo.runtime.errors import InputError
from retempo.runtime.layout import layout_of
from retempo.runtime.measuring import Moments, measure
from retempo.runtime.recorded import bin_recording
from retempo.sensors.events import EventChunk
from tests.builders import cut, make_chunk, make_network, seeds
from tests.conv_builders import make_conv_network

NETWORK = make_network()
RECORDINGS = [make_chunk(3_000, 6, 5, 400_000, seed) for seed in (1, 2, 3)]
LONG = make_chunk(9_000, 6, 5, 4_000_000)


def model_at(network: Network, dt_us: int, statistics: Statistics, method: str) -> StepModel:
    resolution = resolve(network.spec, dt_us, method, "measured", statistics)
    return parse_step(build_step(network, resolution).SerializeToString(), "m.onnx")


@given(seeds, st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_moments_in_pieces_are_those_of_the_whole(seed: int, sizes: list[int]) -> None:
    """Far from zero too, where a sum of squares would have lost every digit."""
    rng = np.random.default_rng(seed)
    pieces = [1e6 + rng.normal(size=(size, 3)) for size in sizes]
    moments = Moments(3)
    for piece in pieces:
        moments.add(piece)
    whole = np.concatenate(pieces)
    assert moments.count == len(whole)
    if len(whole):
        np.testing.assert_allclose(moments.mean, whole.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.variance, whole.var(axis=0), rtol=1e-6, atol=1e-12)


@settings(max_examples=25)
@given(
    st.sampled_from(["sum", "binary", "max", "mean"]),
    st.integers(500, 9_000),
    st.lists(st.integers(0, 3_000), max_size=5),
)
def test_measured_is_what_the_bins_show_however_they_come(
    mode: BinMode, dt_us: int, cuts: list[int]
) -> None:
    spec = replace(NETWORK.spec, input=replace(NETWORK.spec.input, bin_mode=mode))
    found = measure(Network(spec, NETWORK.weights), [cut(r, cuts) for r in RECORDINGS], dt_us)
    layout = layout_of(spec.input)
    bins = np.concatenate([bin_recording(r, layout, dt_us)[0] for r in RECORDINGS])
    z = bins.astype(np.float64) @ NETWORK.weights["layer0.W"].astype(np.float64)
    assert (found.dt_us, found.bins) == (dt_us, len(bins))
    np.testing.assert_allclose(found.mean, z.mean(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.variance, z.var(axis=0), rtol=1e-9)


@pytest.mark.parametrize(
    ("dt_us", "method"), [(2_500, "lag"), (10_000, "none"), (40_000, "substep")]
)
def test_the_normalised_input_of_an_inner_step_has_no_mean_and_unit_variance(
    dt_us: int, method: str
) -> None:
    recordings = [[r] for r in (*RECORDINGS, LONG)]
    found = measure(NETWORK, recordings, dt_us)
    resolution = resolve(NETWORK.spec, dt_us, method, "measured", found)
    layer, norm = resolution.layers[0], NETWORK.spec.layers[0].norm
    assert norm is not None
    layout = layout_of(NETWORK.spec.input)
    bins = np.concatenate([bin_recording(r, layout, dt_us)[0] for (r,) in recordings])
    current = layer.gain * (bins @ NETWORK.weights["layer0.W"]) + layer.bias
    normalised = (current - norm.bias) / norm.weight
    np.testing.assert_allclose(normalised.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(normalised.std(axis=0), 1.0, rtol=1e-3)


@pytest.mark.parametrize("dt_us", [2_500, 40_000])
def test_a_convolution_fed_by_the_sensor_is_measured_as_any_layer(dt_us: int) -> None:
    network = make_conv_network()
    chunk = make_chunk(30_000, 6, 7, 8_000_000)
    found = measure(network, [[chunk]], dt_us)
    resolution = resolve(network.spec, dt_us, "auto", "measured", found)
    layer, spec = resolution.layers[0], network.spec.layers[0]
    bins = bin_recording(chunk, layout_of(network.spec.input), dt_us)[0]
    z = product(connection_of(spec), network.weights["layer0.W"], bins)
    normalised = (layer.gain * z + layer.bias - norm_of(spec).bias) / norm_of(spec).weight
    np.testing.assert_allclose(normalised.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(normalised.std(axis=0), 1.0, rtol=1e-3)


def test_it_is_streamed() -> None:
    """A recording is asked for its next chunk only when the one before it is done with."""
    alive: list[int] = []

    def chunks() -> Iterator[EventChunk]:
        for piece in cut(RECORDINGS[0], range(100, 3_000, 100)):
            alive.append(1)
            yield piece
            alive.pop()
            assert not alive

    assert measure(NETWORK, (chunks() for _ in range(2)), 1_000).bins > 700


def test_too_little_is_refused() -> None:
    few = make_chunk(500, 6, 5, 90_000)
    with pytest.raises(
        InputError, match="are 90 bins of 1000 us, expected at least 100 to measure"
    ):
        measure(NETWORK, [[few]], 1_000)
    with pytest.raises(InputError, match="are 0 bins"):
        measure(NETWORK, [], 1_000)


def test_a_neuron_that_hears_nothing_is_named() -> None:
    weights = dict(NETWORK.weights)
    weights["layer0.W"] = weights["layer0.W"].copy()
    weights["layer0.W"][:, 5] = 0.0
    with pytest.raises(InputError, match=r"neuron 5 of layer0 never varies .* \(1 of 16 such\)"):
        measure(Network(NETWORK.spec, weights), [[RECORDINGS[0]]], 1_000)


@pytest.mark.parametrize(("dt_us", "method"), [(1_000, "lag"), (20_000, "substep")])
def test_a_model_carries_what_was_measured(dt_us: int, method: str) -> None:
    """It loads, steps as it was resolved, and can go elsewhere by another rule only."""
    found = measure(NETWORK, [[r] for r in (*RECORDINGS, LONG)], dt_us)
    model = model_at(NETWORK, dt_us, found, method)
    assert model.contract.resolution.statistics == found
    resolution = model.resolution()
    assert (resolution.normalisation, resolution.statistics) == ("measured", found)
    bins = sparse_bins(RECORDINGS[0], layout_of(NETWORK.spec.input), dt_us)
    assert np.isfinite(decide_all(load_engine(model, name="sparse"), [bins]).scores).all()
    message = f"in bins of 5000 us, known are those of {dt_us} us; export with --normalisation"
    with pytest.raises(AdaptationError, match=message):
        model.resolution(5_000)
    with pytest.raises(AdaptationError, match=message):
        model.resolution(5_000, "integral", "measured")
    other = model.resolution(5_000, "integral", "paper")
    wanted = resolve(NETWORK.spec, 5_000, "integral", "paper")
    np.testing.assert_array_equal(other.layers[0].gain, wanted.layers[0].gain)
    assert other.statistics is None


def test_a_model_gives_its_network_back() -> None:
    content = build_step(NETWORK, resolve(NETWORK.spec, 1_000, "lag")).SerializeToString()
    found = network_of(parse_step(content, "m.onnx"))
    assert found.spec == NETWORK.spec
    assert set(found.weights) == set(NETWORK.weights)
    for name, matrix in NETWORK.weights.items():
        np.testing.assert_array_equal(found.weights[name], matrix)


def test_without_statistics_or_batch_norm_nothing_is_measured() -> None:
    with pytest.raises(AdaptationError, match="needs statistics of unlabelled recordings in bins"):
        resolve(NETWORK.spec, 1_000, "lag", "measured")
    bare = replace(NETWORK.spec.layers[0], norm=None)
    spec = replace(NETWORK.spec, layers=[bare, *NETWORK.spec.layers[1:]])
    found = Statistics(1_000, 500, [0.0] * 16, [1.0] * 16)
    with pytest.raises(UnfitError, match="layer0 has no batch norm to measure for"):
        resolve(spec, 1_000, "lag", "measured", found)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mean", [0.0], "statistics of 1 and 16 neurons do not fit the 16 of layer0"),
        ("variance", [-1.0] * 16, "never varies"),
        ("variance", [2.0] * 16, r"the graph's layer0\.gain is not what its contract"),
        ("dt_us", 2_000, "known are those of 2000 us"),
        ("bins", "many", "damaged contract"),
        ("bins", -5, "statistics are of -5 bins"),
    ],
)
def test_a_contract_whose_statistics_were_tampered_with_is_refused(
    key: str, value: object, message: str
) -> None:
    found = measure(NETWORK, [[r] for r in RECORDINGS], 1_000)
    model = build_step(NETWORK, resolve(NETWORK.spec, 1_000, "lag", "measured", found))
    (entry,) = (e for e in model.metadata_props if e.key == METADATA_KEY)
    contract = json.loads(entry.value)
    contract["resolution"]["statistics"][key] = value
    entry.value = json.dumps(contract)
    with pytest.raises(ContractError, match=message):
        parse_step(model.SerializeToString(), "m.onnx")
