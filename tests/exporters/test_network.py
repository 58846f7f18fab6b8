"""Descriptions and checkpoints: whole or refused."""

import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from retempo.exporters.description import ChannelSpec, GridSpec, InputSpec
from retempo.exporters.errors import NetworkError
from retempo.exporters.files import check_writable, write_atomically, write_together
from retempo.exporters.network import (
    DESCRIPTION_FILE,
    WEIGHTS_FILE,
    Network,
    check,
    load_network,
    save_network,
)
from tests.builders import make_network, neuron_names, seeds


@settings(max_examples=20)
@given(neuron_names, seeds)
def test_a_checkpoint_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, neuron: str, seed: int
) -> None:
    run = tmp_path_factory.mktemp("run")
    network = make_network(neuron, seed=seed)
    save_network(network, run)
    back = load_network(run)
    assert back.spec == network.spec
    assert set(back.weights) == set(network.weights)
    for name, matrix in network.weights.items():
        np.testing.assert_array_equal(back.weights[name], matrix)


def test_a_missing_run_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"is no run: No such file .* retempo train"):
        load_network(tmp_path / "nothing")


def test_a_damaged_description_is_refused(tmp_path: Path) -> None:
    save_network(make_network(), tmp_path)
    (tmp_path / DESCRIPTION_FILE).write_text("{")
    with pytest.raises(NetworkError, match="damaged checkpoint"):
        load_network(tmp_path)


def test_an_unknown_key_of_a_description_is_refused(tmp_path: Path) -> None:
    save_network(make_network(), tmp_path)
    description = json.loads((tmp_path / DESCRIPTION_FILE).read_text())
    description["sauce_dt_us"] = 1
    (tmp_path / DESCRIPTION_FILE).write_text(json.dumps(description))
    with pytest.raises(NetworkError, match="sauce_dt_us"):
        load_network(tmp_path)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    save_network(make_network(), tmp_path)
    weights = (tmp_path / WEIGHTS_FILE).read_bytes()
    (tmp_path / WEIGHTS_FILE).write_bytes(weights[:-100])
    with pytest.raises(NetworkError, match="damaged checkpoint"):
        load_network(tmp_path)


def test_weights_that_do_not_fit_are_named() -> None:
    network = make_network()
    weights = {**network.weights, "layer0.W": np.zeros((3, 3), np.float32)}
    with pytest.raises(NetworkError, match=r"layer0\.W is float32 \(3, 3\), expected"):
        check(Network(network.spec, weights))


def test_a_diverged_network_is_refused() -> None:
    network = make_network()
    weights = {**network.weights, "layer0.W": network.weights["layer0.W"] * np.float32("nan")}
    with pytest.raises(NetworkError, match="training has diverged"):
        check(Network(network.spec, weights))


def test_inconsistent_descriptions_name_the_layer() -> None:
    network = make_network()
    first, *rest = network.spec.layers
    wrong = {
        "has 7 inputs": [msgspec.structs.replace(first, inputs=7), *rest],
        "unknown neuron 'radliff'": [msgspec.structs.replace(first, neuron="radliff"), *rest],
        "expected a spiking neuron": [
            msgspec.structs.replace(first, neuron="leaky_readout"),
            *rest,
        ],
        "expected a readout neuron": network.spec.layers[:-1],
        "layer names must be distinct": [first, msgspec.structs.replace(rest[0], name="layer0")],
    }
    for message, layers in wrong.items():
        spec = msgspec.structs.replace(network.spec, layers=layers)
        with pytest.raises(NetworkError, match=message):
            check(Network(spec, network.weights))


def test_inputs_follow_from_geometry_and_downsample() -> None:
    assert InputSpec(GridSpec(34, 34, 2)).size == 2312
    assert InputSpec(GridSpec(34, 34, 2), downsample=2).size == 578
    assert InputSpec(GridSpec(35, 33, 1), downsample=2).size == 18 * 17
    assert InputSpec(ChannelSpec(700), downsample=5).size == 140


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model.onnx"
    write_atomically(target, b"old")

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_is_followed_and_a_pipe_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, pipe = tmp_path / "link.onnx", tmp_path / "pipe"
    link.symlink_to(tmp_path / "real" / "model.onnx")
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "real" / "model.onnx").read_bytes() == b"new"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="it is no file"):
        write_atomically(pipe, b"new")
    assert pipe.is_fifo()


def test_files_of_a_run_are_all_new_or_all_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    write_together(dict.fromkeys(paths, b"old"))
    synced, real = [], os.fsync

    def fail_at_the_third(handle: int) -> None:
        synced.append(handle)
        if len(synced) == 3:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fail_at_the_third)
    with pytest.raises(OSError, match="No space left"):
        write_together(dict.fromkeys(paths, b"new"))
    assert [path.read_bytes() for path in paths] == [b"old"] * 3
    assert sorted(tmp_path.iterdir()) == paths


def test_weights_of_another_description_are_refused(tmp_path: Path) -> None:
    """Shapes alike, networks not: only a digest tells them apart."""
    save_network(make_network(seed=1), tmp_path / "one")
    save_network(make_network(seed=2), tmp_path / "two")
    weights = (tmp_path / "two" / WEIGHTS_FILE).read_bytes()
    (tmp_path / "one" / WEIGHTS_FILE).write_bytes(weights)
    with pytest.raises(NetworkError, match=r"was not written with its network\.json"):
        load_network(tmp_path / "one")


def test_a_folder_that_cannot_be_written_is_known_beforehand(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "run")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        check_writable(tmp_path / "file" / "run")
