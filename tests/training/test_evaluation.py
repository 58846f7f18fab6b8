"""Accuracy by bin mode, normalisation rule and input adaptation."""

import numpy as np
import pytest
from msgspec.structs import replace

from retempo.demo.assets import MODEL
from retempo.demo.assets import RECORDINGS as DEMO
from retempo.exporters.adaptation import METHODS
from retempo.exporters.description import BinMode
from retempo.exporters.errors import AdaptationError
from retempo.exporters.network import Network
from retempo.exporters.step_model import load_step
from retempo.exporters.step_model import network_of as demo_network
from retempo.runtime.bulk import decide_all, sparse_bins
from retempo.runtime.engines import load_engine
from retempo.runtime.errors import InputError
from retempo.runtime.layout import layout_of
from retempo.runtime.measuring import measure
from retempo.sensors.files import open_recording, read_all
from retempo.training.accuracy_plot import COLOURS
from retempo.training.evaluation import Accuracy, evaluate, model_of

RECORDINGS = [read_all(open_recording(path)) for path in sorted(DEMO.glob("*.bin"))[:60:5]]
DEMO_NETWORK = demo_network(load_step(MODEL))


def network_of(mode: BinMode = "sum") -> Network:
    """The demonstration's network, listening by another bin mode than it was trained by."""
    # A rate in units of the source bin is the count that the network knows.
    unit_us = 10_000 if mode == "mean" else 1_000
    heard = replace(DEMO_NETWORK.spec.input, bin_mode=mode, bin_unit_us=unit_us)
    return Network(replace(DEMO_NETWORK.spec, input=heard), DEMO_NETWORK.weights)


def results_of(
    network: Network, dts_us: list[int], methods: list[str], **options: object
) -> dict[tuple[int, str], Accuracy]:
    expected = ["0"] * len(RECORDINGS)
    results = evaluate(
        model_of(network, "m"),
        RECORDINGS,
        expected,
        dts_us,
        methods,
        **options,  # type: ignore[arg-type]
    )
    return {(r.dt_us, r.method): r for r in results}


@pytest.mark.parametrize("mode", ["sum", "binary", "max", "mean"])
def test_fine_bins_gathered_by_the_bin_mode_decide_as_the_networks_own(mode: BinMode) -> None:
    results = results_of(network_of(mode), [10_000, 2_000], ["none"], input_adaptation=mode)
    home = results[10_000, "none"].decided
    assert len(set(home)) > 1
    assert results[10_000, f"input:{mode}"].decided == home
    assert results[2_000, f"input:{mode}"].decided == home
    assert results[2_000, "none"].decided != home


def test_input_adaptation_stands_alone_and_says_where_it_does_not_fit() -> None:
    dts_us = [20_000, 10_000, 5_000, 3_000]
    results = results_of(network_of(), dts_us, [], input_adaptation="repeat")
    assert set(results) == {(dt_us, "input:repeat") for dt_us in dts_us}
    reasons = {dt_us: results[dt_us, "input:repeat"].reason for dt_us in dts_us}
    assert reasons[20_000] == reasons[10_000] == ""
    assert "does not go from 5000 us to 10000 us" in reasons[5_000]
    assert "needs a whole ratio" in reasons[3_000]
    with pytest.raises(InputError, match="unknown input adaptation 'stretch'"):
        results_of(network_of(), [10_000], ["none"], input_adaptation="stretch")


@pytest.mark.parametrize("mode", ["sum", "binary", "max", "mean"])
def test_measured_is_measured_at_every_time_step(mode: BinMode) -> None:
    network = network_of(mode)
    unlabelled = [[chunk] for chunk in RECORDINGS]
    results = results_of(
        network, [2_500, 20_000], ["auto"], normalisation="measured", unlabelled=unlabelled
    )
    model = model_of(network, "m")
    for dt_us in (2_500, 20_000):
        statistics = measure(network, unlabelled, dt_us)
        engine = load_engine(
            model, model.resolution(dt_us, "auto", "measured", statistics), "sparse"
        )
        layout = layout_of(network.spec.input)
        bins = [sparse_bins(chunk, layout, dt_us) for chunk in RECORDINGS]
        scores = decide_all(engine, bins).scores
        labels = tuple(network.spec.labels[int(np.argmax(row))] for row in scores)
        assert results[dt_us, "auto"].decided == labels


def test_measured_needs_something_to_measure() -> None:
    with pytest.raises(InputError, match="are 0 bins of 1000 us, expected at least 100"):
        results_of(network_of(), [1_000], ["lag"], normalisation="measured")
    with pytest.raises(AdaptationError, match="unknown normalisation rule"):
        results_of(network_of(), [1_000], ["lag"], normalisation="measurd")


def test_a_network_adapted_to_a_finer_step_than_the_sensors_bins_decides_as_at_home() -> None:
    """With the input held, `lag` is the source network at the source's instants."""
    network = network_of()
    home = results_of(network, [10_000], ["none"])[10_000, "none"].decided
    options = {"input_adaptation": "repeat", "sensor_dt_us": 10_000}
    results = results_of(network, [10_000, 2_000], ["auto"], **options)
    assert set(results) == {(10_000, "auto, repeat"), (2_000, "auto, repeat")}
    assert results[10_000, "auto, repeat"].decided == home
    assert results[2_000, "auto, repeat"].decided == home
    assert results[2_000, "auto, repeat"].steps == 5 * results[10_000, "auto, repeat"].steps


def test_input_adaptation_is_a_sensor_of_another_step_and_a_network_at_its_own() -> None:
    network = network_of()
    by_input = results_of(network, [40_000], [], input_adaptation="repeat")
    at_home = results_of(
        network, [10_000], ["none"], input_adaptation="repeat", sensor_dt_us=40_000
    )
    assert at_home[10_000, "none, repeat"].decided == by_input[40_000, "input:repeat"].decided


def test_bins_of_a_sensor_need_a_way_and_a_whole_ratio() -> None:
    with pytest.raises(InputError, match="name one, as in input_adaptation='repeat'"):
        results_of(network_of(), [10_000], ["none"], sensor_dt_us=5_000)
    options = {"input_adaptation": "repeat", "sensor_dt_us": 10_000}
    (result,) = results_of(network_of(), [3_000], ["auto"], **options).values()
    assert "needs a whole ratio" in result.reason


def test_every_method_is_drawn_in_a_colour_of_its_own() -> None:
    assert set(COLOURS) == set(METHODS)
    assert len(set(COLOURS.values())) == len(COLOURS)
