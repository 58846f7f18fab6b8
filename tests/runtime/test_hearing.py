"""The ear in the contract: said by the training, kept by the export, checked by who hears."""

from typing import Any

import msgspec
import onnx
import pytest

from retempo.exporters.description import ChannelSpec, GridSpec, InputSpec
from retempo.exporters.errors import ContractError, NetworkError
from retempo.exporters.network import Network, check
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.errors import InputError
from retempo.runtime.hearing import agreed_ear, note_of_hearing, stated_ear
from retempo.sensors.cochlea import CochleaSpec
from retempo.sensors.ears.registry import EarSpec, describe, plain
from retempo.sensors.lauscher import LauscherSpec
from retempo.sensors.speech2spikes import Speech2SpikesSpec
from tests.builders import make_network

TWENTY: list[EarSpec] = [
    CochleaSpec(channels=20, leak_hz=30.0),
    LauscherSpec(channels=20, level="running"),
    Speech2SpikesSpec(mels=10),
]


def trained_by(ear: dict[str, Any], geometry: GridSpec | ChannelSpec | None = None) -> Network:
    network = make_network(geometry=geometry or ChannelSpec(20))
    described = msgspec.structs.replace(network.spec.input, ear=ear)
    return Network(msgspec.structs.replace(network.spec, input=described), network.weights)


def exported(network: Network) -> bytes:
    return bytes(build_step(network, resolve(network.spec, 1_000, "lag")).SerializeToString())


@pytest.mark.parametrize("ear", TWENTY, ids=describe)
def test_a_model_carries_the_ear_of_its_network(ear: EarSpec) -> None:
    network = trained_by(plain(ear))
    model = parse_step(exported(network), "m.onnx")
    assert model.contract.network == network.spec
    assert stated_ear(model.contract.network.input, "m.onnx") == ear
    assert note_of_hearing(model.contract.network.input, "m.onnx", "a.wav", ear) is None


def test_a_network_without_an_ear_is_encoded_as_it_was_before_there_were_any() -> None:
    network = make_network(geometry=ChannelSpec(20))
    fields = msgspec.json.decode(msgspec.json.encode(network.spec.input))
    assert list(fields) == ["geometry", "bin_mode", "downsample", "bin_unit_us", "occupancy"]
    model = parse_step(exported(network), "old.onnx")
    assert stated_ear(model.contract.network.input, "old.onnx") is None
    note = note_of_hearing(model.contract.network.input, "old.onnx", "a.wav", TWENTY[0])
    assert note == (
        "old.onnx does not say by which ear it was trained; a.wav is heard by "
        "gammatone?channels=20&leak_hz=30"
    )


@pytest.mark.parametrize(
    ("ear", "message"),
    [
        (
            {"kind": "bat"},
            "m.onnx was trained with an ear that cannot be had: the ear 'bat' is unk",
        ),
        ({}, "an ear that cannot be had: the ear None is unknown"),
        ({"kind": "gammatone", "whiskers": 3}, "the ear gammatone has no setting 'whiskers'"),
        ({"kind": "speech2spikes", "mels": 20}, "expects 20 channels inputs, its ear .* has 40 ch"),
    ],
)
def test_an_ear_that_does_not_fit_is_refused_by_name(ear: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        stated_ear(InputSpec(ChannelSpec(20), ear=ear), "m.onnx")


def test_an_ear_asked_for_gives_way_to_none_that_is_stated_and_must_not_differ() -> None:
    gammatone, lauscher, _ = TWENTY
    silent, stated = InputSpec(ChannelSpec(20)), InputSpec(ChannelSpec(20), ear=plain(gammatone))
    assert agreed_ear(silent, "m.onnx", None) is None
    assert agreed_ear(silent, "m.onnx", lauscher) == lauscher
    assert agreed_ear(stated, "m.onnx", None) == gammatone
    assert agreed_ear(stated, "m.onnx", gammatone) == gammatone
    with pytest.raises(
        InputError, match=r"m\.onnx was trained with the ear gammatone.*, asked for is lauscher"
    ):
        agreed_ear(stated, "m.onnx", lauscher)


def test_a_network_of_pixels_has_no_ear() -> None:
    network = trained_by(plain(TWENTY[0]), GridSpec(5, 2, 2))
    with pytest.raises(NetworkError, match="a network of a pixel grid has an ear, expected none"):
        check(network)


def test_an_ear_of_no_plain_data_is_a_damaged_contract() -> None:
    model = onnx.load_model_from_string(exported(trained_by(plain(TWENTY[0]))))
    text = model.metadata_props[0].value
    model.metadata_props[0].value = text.replace('"kind":"gammatone"', '"kind":["gammatone"]')
    assert model.metadata_props[0].value != text
    with pytest.raises(ContractError, match=r"m\.onnx carries a damaged contract"):
        parse_step(model.SerializeToString(), "m.onnx")
