"""Fault 21: a bad model is refused by name before it goes live, and the old one goes on serving."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.fuzz_models import seeds as whole_models
from benchmarks.fuzz_models import verdict
from benchmarks.fuzzing.live_swaps import swap_all
from benchmarks.fuzzing.models import damaged
from retempo.exporters.contract import METADATA_KEY
from retempo.runtime.publisher import publish
from retempo.runtime.trial import KINDS
from tests.cli.conftest import Invoke, invoke
from tests.runtime.live_model import (
    SPEC,
    config_text,
    decided,
    deployed,
    model_bytes,
    network,
    serving,
)
from tests.runtime.stand_in import GRID, Recorded, events

pytestmark = pytest.mark.fault(21)

__all__ = ["invoke"]

Model = onnx.ModelProto
A = model_bytes(network(0))


def without_a_state(model: Model) -> None:
    (value,) = [v for v in model.graph.output if v.name == "layer0.state_next"]
    model.graph.output.remove(value)


def of_another_shape(model: Model) -> None:
    (value,) = [v for v in model.graph.input if v.name == "layer0.spikes"]
    value.type.tensor_type.shape.dim[1].dim_value = 17


def external(location: str) -> Callable[[Model], None]:
    def change(model: Model) -> None:
        tensor = model.graph.initializer[0]
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return change


def contract(**changes: object) -> Callable[[Model], None]:
    def change(model: Model) -> None:
        table = json.loads(model.metadata_props[0].value) | changes
        helper.set_model_props(model, {METADATA_KEY: json.dumps(table)})

    return change


def foreign(model: Model) -> None:
    model.graph.node.append(helper.make_node("Add", ["x", "x"], ["z"], domain="com.evil"))


def rewired(model: Model) -> None:
    (node,) = [n for n in model.graph.node if n.output[0] == "layer0.above"]
    node.input[0], node.input[1] = node.input[1], node.input[0]


BAD: dict[str, tuple[Callable[[Model], None], str, str]] = {
    "unpaired": (without_a_state, "contract", "the graph has no output layer0.state_next"),
    "shapes": (of_another_shape, "contract", "input layer0.spikes has the shape (-1, 17)"),
    "external": (external("weights.bin"), "operators", "in another file 'weights.bin'"),
    "escaping": (external("../../etc/passwd"), "operators", "another file '../../etc/passwd'"),
    "version": (contract(version=9), "contract", "carries contract version 9"),
    "foreign": (foreign, "operators", "is of the domain 'com.evil'"),
    "rewired": (rewired, "numbers", "is not what the contract's network gives"),
}


def bad(change: Callable[[Model], None]) -> bytes:
    model = onnx.load_model_from_string(A)
    change(model)
    return bytes(model.SerializeToString())


def test_every_bad_model_is_refused_by_name_and_the_old_one_goes_on(tmp_path: Path) -> None:
    files = {f"{name}.onnx": bad(change) for name, (change, _, _) in BAD.items()}
    files |= {"truncated.onnx": A[: len(A) // 2], "empty.onnx": b"", "a.onnx": A, "sealed.onnx": A}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "sealed.onnx.sha256.json").write_text(
        '{"version": 1, "sha256": "00", "size": 1, "retempo": "0", "sealed": "2026-11-28"}'
    )
    (tmp_path / "serve.toml").write_text(config_text())
    expected = {f"{name}.onnx": (kind, text) for name, (_, kind, text) in BAD.items()}
    expected |= {
        "truncated.onnx": ("contract", "truncated.onnx is no ONNX model, or is truncated"),
        "empty.onnx": ("contract", "empty.onnx is no ONNX model, or is truncated"),
        "sealed.onnx": ("manifest", "is not what its manifest was sealed for"),
        "none.onnx": ("file", "cannot read the model"),
        "../a.onnx": ("file", "lies outside the folders of models"),
        "/etc/passwd": ("file", "lies outside the folders of models"),
    }
    source = Recorded("a", [events(list(range(0, 90_000, 70)), 90_000)])
    with serving(tmp_path) as daemon:
        for name, (kind, text) in expected.items():
            reply = daemon.swap(name)
            assert (reply["ok"], reply["kind"]) == (False, kind), reply
            assert text in reply["error"]
            assert "\n" not in reply["error"]
        report = publish(source, daemon.feed)
        status = daemon.status()
        assert status["model"]["name"] == "a.onnx"
        assert status["report"]["swaps"] == 0
        code, log = daemon.end()
    assert code == 0
    refusals = [line for line in log if line["event"] == "swap_refused"]
    assert len(refusals) + sum(line["held_back"] for line in refusals) >= 1
    assert {line["by"] for line in refusals} == {"control"}
    pipeline = deployed(A).open("a", GRID)
    decided(pipeline, source.chunks)
    assert report.counters == pipeline.counters.as_dict()
    assert report.counters["received"] == report.counters["binned"] == len(source.chunks[0])


@pytest.mark.parametrize("name", ["unpaired", "rewired", "foreign"])
def test_a_daemon_does_not_start_with_a_bad_model(
    name: str, tmp_path: Path, invoke: Invoke
) -> None:
    change, _, text = BAD[name]
    (tmp_path / "a.onnx").write_bytes(bad(change))
    (tmp_path / "serve.toml").write_text(config_text())
    outcome = invoke("serve", tmp_path / "serve.toml")
    assert (outcome.code, outcome.out) == (1, "")
    assert text in outcome.err
    assert not (tmp_path / "stamps").exists()


def test_a_required_manifest_is_asked_for_and_seal_writes_it(
    tmp_path: Path, invoke: Invoke
) -> None:
    (tmp_path / "a.onnx").write_bytes(A)
    (tmp_path / "serve.toml").write_text(config_text(rest='manifest = "required"'))
    outcome = invoke("serve", tmp_path / "serve.toml")
    assert outcome.code == 1
    assert "a.onnx has no manifest a.onnx.sha256.json" in outcome.err
    assert "write it with retempo seal" in outcome.err
    assert invoke("seal", tmp_path / "a.onnx").code == 0
    with serving(tmp_path) as daemon:
        assert daemon.status()["model"]["name"] == "a.onnx"
        assert daemon.end()[0] == 0


def test_sixty_mutated_models_are_accepted_or_refused_by_name(tmp_path: Path) -> None:
    """A short run of `benchmarks.fuzz_models`, a few of them through a running daemon."""
    whole = whole_models()
    models = [damaged(number, whole, base=21) for number in range(60)]
    kinds = [verdict(model.content)[0] for model in models]
    assert set(kinds) <= {"accepted", *KINDS}
    assert set(kinds) >= {"accepted", "operators", "contract"}
    live = swap_all(tmp_path, whole[0], [model.content for model in models[:4]])
    assert live.well, live.log
    assert (live.swaps, live.unnamed) == (4, 0)


def test_the_good_model_of_these_tests_is_good() -> None:
    """Else every refusal above would prove nothing."""
    assert verdict(A) == ("accepted", "")
    assert SPEC.width == GRID.width
