"""A model is tried in a child process: what it does there, it does to nobody else."""

import os
import sys
import threading
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from retempo.runtime.admission import Admission, admit, read_file, within
from retempo.runtime.errors import ConfigError, ModelError
from retempo.runtime.event_log import EventLog
from retempo.runtime.model_source import admission_of
from retempo.runtime.serve_config import ModelsConfig, ServeConfig
from retempo.runtime.sizes import parse_bytes
from retempo.runtime.trial import Outcome, TrialSettings, examine
from retempo.runtime.trial_process import Trials, outcome_of
from retempo.runtime.trial_stamp import has_passed, stamp, stamp_path
from tests.runtime.live_model import model_bytes, network

GOOD = model_bytes(network())
SETTINGS = TrialSettings(name="m.onnx", engine="sparse", time_s=60.0)


def child(code: str) -> Trials:
    """A child that is ready at once, and then does as the code says."""
    start = f"import os, signal, sys, time; print('ready', flush=True); {code}"
    return Trials([sys.executable, "-c", start])


def refused(attempt: Trials, settings: TrialSettings = SETTINGS) -> tuple[str, str]:
    with pytest.raises(ModelError) as caught:
        attempt(b"", settings)
    assert "\n" not in str(caught.value)
    return caught.value.kind, str(caught.value)


def test_a_good_model_passes_in_a_child() -> None:
    outcome = Trials()(GOOD, SETTINGS)
    assert (outcome.engine, outcome.steps, outcome.kind) == ("sparse", 80, "")
    assert outcome == examine(GOOD, SETTINGS)


def test_a_child_that_crashes_is_a_refusal() -> None:
    kind, text = refused(child("sys.stdin.read(); os.kill(os.getpid(), signal.SIGSEGV)"))
    assert (kind, text) == ("crash", "the process that tried m.onnx died by SIGSEGV")
    assert refused(child("sys.stdin.read(); sys.exit('no')"))[0] == "crash"
    assert refused(child("sys.stdin.read(); print('{')"))[0] == "crash"
    assert refused(Trials([sys.executable, "-c", "import nothing_of_that_name"]))[0] == "crash"


def test_a_child_that_is_killed_for_its_memory_is_a_refusal() -> None:
    kind, _ = refused(child("sys.stdin.read(); os.kill(os.getpid(), signal.SIGKILL)"))
    assert kind == "memory"


def test_a_child_that_takes_too_long_is_a_refusal() -> None:
    settings = TrialSettings(name="m.onnx", time_s=0.05)
    kind, text = refused(child("time.sleep(1_000)"), settings)
    assert (kind, text[:40]) == ("time", "m.onnx could not be tried within 0.05 s;")


def test_a_trial_that_is_stopped_ends_at_once_and_no_other_begins() -> None:
    attempt = child("sys.stdin.read(); time.sleep(1_000)")
    thread = threading.Thread(target=refused, args=(attempt,))
    thread.start()
    while attempt._child is None or attempt._child.poll() is not None:
        pass
    attempt.stop()
    thread.join(30.0)
    assert not thread.is_alive()
    assert "the daemon stops" in refused(attempt)[1]


def test_too_little_memory_is_a_refusal() -> None:
    kind, text = refused_good(TrialSettings(name="m.onnx", engine="sparse", memory_bytes=1 << 28))
    assert kind in ("memory", "engine", "crash")
    assert "m.onnx" in text


def refused_good(settings: TrialSettings) -> tuple[str, str]:
    with pytest.raises(ModelError) as caught:
        Trials()(GOOD, settings)
    return caught.value.kind, str(caught.value)


def test_a_signal_for_too_much_processor_time_is_named() -> None:
    with pytest.raises(ModelError, match="more processor time") as caught:
        outcome_of(-24, b"", b"", SETTINGS)
    assert caught.value.kind == "time"


def changed(change: "object") -> bytes:
    model = onnx.load_model_from_string(GOOD)
    change(model)  # type: ignore[operator]
    return bytes(model.SerializeToString())


def swap_inputs(model: onnx.ModelProto) -> None:
    (node,) = [node for node in model.graph.node if node.output[0] == "layer0.above"]
    node.input[0], node.input[1] = node.input[1], node.input[0]


def unpair(model: onnx.ModelProto) -> None:
    """The state that comes out is the one that went in: it no longer goes from step to step."""
    (node,) = [node for node in model.graph.node if node.output[0] == "layer0.state_next"]
    node.input[0] = node.input[1] = "layer0.free"


def test_a_graph_that_steps_otherwise_than_its_contract_is_refused() -> None:
    """Such a file passes every look at its shapes; one step beside the equations tells it apart."""
    for change, odd in ((swap_inputs, "layer0"), (unpair, "layer0.state_next")):
        with pytest.raises(ModelError, match=f"the graph's {odd}.* is not what the contract"):
            examine(changed(change), SETTINGS)


def write_otherwise(model: onnx.ModelProto) -> None:
    """Let the input pass through an `Identity`: another graph, the same network."""
    for node in model.graph.node:
        for k, name in enumerate(node.input):
            if name == "x":
                node.input[k] = "x_itself"
    model.graph.node.insert(0, helper.make_node("Identity", ["x"], ["x_itself"]))


def test_an_operator_that_is_allowed_may_write_the_same_network_and_no_other() -> None:
    own = msgspec.structs.replace(SETTINGS, operators=("Identity",))
    same = changed(write_otherwise)
    with pytest.raises(ModelError, match=r"'Identity'.* add it to \[models\] operators") as caught:
        examine(same, SETTINGS)
    assert caught.value.kind == "operators"
    assert examine(same, own).steps == 80

    def write_another(model: onnx.ModelProto) -> None:
        write_otherwise(model)
        swap_inputs(model)

    with pytest.raises(ModelError, match="is not what the contract") as caught:
        examine(changed(write_another), own)
    assert caught.value.kind == "numbers"


def test_an_operator_that_no_model_could_use_is_refused_with_the_configuration() -> None:
    for operator in ("If", "Identify"):
        settings = ServeConfig(model="m.onnx", models=ModelsConfig(operators=[operator]))
        with pytest.raises(ConfigError, match=rf"\[models\] operators: '{operator}' cannot be"):
            admission_of(settings, Path())


def test_a_weight_that_is_no_number_is_refused() -> None:
    def spoil(model: onnx.ModelProto) -> None:
        (tensor,) = [t for t in model.graph.initializer if t.name == "layer0.W"]
        values = numpy_helper.to_array(tensor).copy()
        values[0, 0] = np.nan
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    with pytest.raises(ModelError, match=r"layer0\.W"):
        examine(changed(spoil), SETTINGS)


def test_a_model_that_has_passed_is_not_tried_again_until_something_changes(
    tmp_path: Path,
) -> None:
    path, stamps, tried = tmp_path / "m.onnx", tmp_path / "stamps", list[str]()
    path.write_bytes(GOOD)

    def attempt(content: bytes, settings: TrialSettings) -> Outcome:
        tried.append(settings.engine)
        return examine(content, settings)

    admission = Admission(settings=SETTINGS, stamps=stamps)
    for _ in range(2):
        admit(path, admission, EventLog(), attempt=attempt)
    assert tried == ["sparse"]
    admit(path, admission, EventLog(), attempt=attempt, again=True)
    assert tried == ["sparse"] * 2
    onnx_settings = TrialSettings(name="m.onnx", engine="onnx", time_s=60.0)
    admit(path, Admission(settings=onnx_settings, stamps=stamps), EventLog(), attempt=attempt)
    assert tried == ["sparse", "sparse", "onnx"]
    for trial, more in (("always", 1), ("off", 0)):
        before = len(tried)
        rule = Admission(trial=trial, settings=SETTINGS, stamps=stamps)  # type: ignore[arg-type]
        admit(path, rule, EventLog(), attempt=attempt, again=trial == "off")
        assert len(tried) - before == more


def test_a_stamp_that_is_damaged_or_cannot_be_written_costs_a_trial_and_no_more(
    tmp_path: Path,
) -> None:
    outcome = examine(GOOD, SETTINGS)
    stamp(tmp_path, outcome, SETTINGS)
    assert has_passed(tmp_path, outcome.sha256, SETTINGS)
    stamp_path(tmp_path, outcome.sha256, SETTINGS).write_bytes(b"{")
    assert not has_passed(tmp_path, outcome.sha256, SETTINGS)
    path = tmp_path / "m.onnx"
    path.write_bytes(GOOD)
    blocked = Admission(settings=SETTINGS, stamps=path)
    model = admit(path, blocked, EventLog(), attempt=lambda *_: outcome)
    assert model.sha256 == outcome.sha256


def test_a_pipe_a_folder_and_a_path_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "", "none.onnx", "a\0b"):
        with pytest.raises(ModelError, match="cannot read the model") as caught:
            read_file(tmp_path / name, 1_000)
        assert caught.value.kind == "file"
    inside = tmp_path / "models"
    inside.mkdir()
    (inside / "link.onnx").symlink_to(tmp_path / "m.onnx")
    for text in ("../m.onnx", "/etc/passwd", "link.onnx", "a\0b", "x/../../m.onnx"):
        with pytest.raises(ModelError) as caught:
            within(text, inside, (inside,))
        assert caught.value.kind == "file"
    assert within("sub/../m.onnx", inside, (inside,)) == inside / "m.onnx"


def test_sizes_are_read() -> None:
    assert [parse_bytes(t) for t in ("512B", "1.5 KiB", "4GiB")] == [512, 1_536, 4 << 30]
    for text in ("4GB", "", "-1B", "1e3B", "4"):
        with pytest.raises(ConfigError, match="is no size; write 512B"):
            parse_bytes(text)
