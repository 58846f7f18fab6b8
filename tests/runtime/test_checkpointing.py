"""Checkpoints of a server: taken between messages, told to senders once written, gone on from."""

import math
import select
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from retempo.exporters.description import GridSpec
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import StepModel, parse_step
from retempo.runtime.checkpoint import Checkpoint, described, encode_checkpoint
from retempo.runtime.checkpoint_folder import CheckpointFolder
from retempo.runtime.checkpoint_identity import engine_to_load
from retempo.runtime.checkpoint_writer import Outcome, ThreadWriter
from retempo.runtime.checkpointing import Checkpointing, keep_checkpoints
from retempo.runtime.decision import Decision, encode_json
from retempo.runtime.decision_history import DecisionHistory
from retempo.runtime.deployment import Deployment
from retempo.runtime.engines import load_engine
from retempo.runtime.errors import ConfigError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import Credit, Ended, Refusal, Reply
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.layout import layout_of
from retempo.runtime.replies import Delivery
from retempo.runtime.serve_config import CheckpointConfig, ServeConfig
from retempo.runtime.serving import checkpoint_folder_of, checkpointing_of
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import parse_filter
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.builders import make_chunk, make_network

GRID = GridGeometry(6, 5)


def model(seed: int = 0) -> StepModel:
    network = make_network("radlif", (9, 7), GridSpec(6, 5, 2), seed=seed, stable=True)
    graph = build_step(network, resolve(network.spec, 1_000, "lag"))
    return parse_step(graph.SerializeToString(), "m.onnx")


def deployed(step: StepModel | None = None, engine: str = "sparse", **more: Any) -> Deployment:
    loaded = load_engine(step or model(), name=engine)
    layout = layout_of(loaded.model.contract.network.input)
    return Deployment(loaded, layout, filters=(parse_filter("refractory=200us"),), **more)


class HeldWriter:
    """Writes when the test says so."""

    @property
    def sources(self) -> Sequence[Any]:
        return ()

    def __init__(self, folder: CheckpointFolder) -> None:
        self.folder = folder
        self.is_due = False
        self.submitted: list[Checkpoint | None] = []
        self.woken = 0
        self.closed = False
        self._outcome: Outcome | None = None

    def due(self) -> bool:
        return self.is_due

    def submit(self, checkpoint: Checkpoint | None) -> None:
        self.submitted.append(checkpoint)
        self.is_due = False

    def outcome(self) -> Outcome | None:
        outcome, self._outcome = self._outcome, None
        return outcome

    def wake(self) -> None:
        self.woken += 1

    def close(self) -> None:
        self.closed = True
        self.write()

    def write(self, reason: str | None = None) -> None:
        checkpoint = self.submitted[-1]
        assert checkpoint is not None
        if reason is None:
            self.folder.write(encode_checkpoint(checkpoint))
        self._outcome = Outcome(checkpoint, reason)


_LIVES: list["Life"] = []


@pytest.fixture(autouse=True)
def every_life_ends() -> Iterator[None]:
    yield
    while _LIVES:
        _LIVES.pop().kill()


@dataclass
class Life:
    """One life of a server over a folder of checkpoints."""

    folder: Path
    deployment: Deployment = field(default_factory=deployed)

    def __post_init__(self) -> None:
        self.replies: list[tuple[bytes, Reply]] = []
        self.decisions: list[Decision] = []
        self.out = StringIO()
        self.history = DecisionHistory()
        log = EventLog(out=self.out, interval_s=0.0)
        self.server = FeedServer(
            self.deployment, self._send, self._publish, log, history=self.history
        )
        self.server.keeps_checkpoints = True
        held = CheckpointFolder(self.folder)
        self.writer = HeldWriter(held)
        self.chore = Checkpointing(self.server, held, self.writer, log)
        _LIVES.append(self)
        self.chore.restore()

    def _send(self, owner: bytes, reply: Reply) -> Delivery:
        self.replies.append((owner, reply))
        return "sent"

    def _publish(self, decision: Decision) -> None:
        self.decisions.append(decision)
        body = encode_json(decision)
        self.history.add(decision.stream, decision.epoch, decision.sequence, body)

    def send(self, kind: Any, chunk: EventChunk, at: Cursor, owner: bytes = b"o") -> None:
        frames = [bytes(frame) for frame in encode_message(kind, chunk, at)]
        self.server.receive(owner, frames)

    def step(self) -> None:
        while self.server.rest_us() is not None:
            self.server.turn()
        self.acknowledge()

    def acknowledge(self) -> None:
        """Let senders be told what they are owed, however long that has to wait."""
        if self.server.owes_in_us() < math.inf:
            time.sleep(self.server.owes_in_us() / 1e6)
        self.server.acknowledge()

    def take(self) -> None:
        """Let the chore hand over a checkpoint, however many passes it takes."""
        self.writer.is_due = True
        while self.writer.is_due:
            self.chore.tick()

    def checkpoint(self, reason: str | None = None) -> None:
        self.take()
        self.writer.write(reason)
        self.chore.tick()
        self.acknowledge()

    def kill(self) -> None:
        """What remains of a process that is killed: its files, without the lock."""
        self.writer.folder.close()

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = [msgspec.json.decode(line) for line in self.out.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    def credit(self) -> Credit:
        return [reply for _, reply in self.replies if isinstance(reply, Credit)][-1]


def chunks(count: int = 12, seed: int = 5, span_us: int = 7_300) -> list[EventChunk]:
    drawn = []
    for k in range(count):
        begin = k * span_us
        chunk = make_chunk(60, 6, 5, span_us, seed + k, begin)
        drawn.append(replace(chunk, t_end_us=begin + span_us))
    return drawn


def cursors(stream: str, epoch: int, drawn: Iterable[EventChunk]) -> list[Cursor]:
    found = [Cursor(stream, GRID, epoch)]
    for chunk in drawn:
        found.append(found[-1].after(chunk))
    return found


def feed(
    life: Life, stream: str, epoch: int, drawn: list[EventChunk], begin: int, end: int
) -> None:
    """Send some messages of a stream, opened where nothing was sent, and its end after the last."""
    at = cursors(stream, epoch, drawn)
    if begin == 0:
        life.send("open", no_events(GRID, 0), at[0])
    for k in range(begin, end):
        life.send("events", drawn[k], at[k])
    if end == len(drawn):
        life.send("end", no_events(GRID, drawn[-1].t_end_us), at[-1])
    life.step()


def essence(decisions: Iterable[Decision]) -> dict[tuple[str, int, int], Any]:
    return {
        (d.stream, d.epoch, d.sequence): (d.t_us, d.label, d.scores, d.counters, d.final)
        for d in decisions
    }


def uninterrupted(deployment: Deployment, streams: dict[str, list[EventChunk]]) -> Any:
    found: dict[tuple[str, int, int], Any] = {}
    for name, drawn in streams.items():
        pipeline = deployment.open(name, GRID)
        told = [d for chunk in drawn for d in pipeline.feed(chunk, 0.0)]
        decisions = [d for d in [*told, *pipeline.finish(0.0)] if d is not None]
        found |= essence(msgspec.structs.replace(d, epoch=7) for d in decisions)
    return found


@pytest.mark.parametrize("killed_at", [1, 5, 9])
@pytest.mark.parametrize("engine", ["sparse", "onnx"])
def test_a_killed_daemon_goes_on_from_its_last_checkpoint(
    tmp_path: Path, engine: str, killed_at: int
) -> None:
    drawn = {"a": chunks(seed=5), "b": chunks(seed=50)}
    served = deployed(engine=engine)
    life = Life(tmp_path, served)
    for name in drawn:
        feed(life, name, 7, drawn[name], 0, killed_at)
    life.checkpoint()
    for name in drawn:
        # This is stepped and decided, and lost with the process.
        feed(life, name, 7, drawn[name], killed_at, min(killed_at + 3, 11))
    assert life.server.streams["a"].durable == killed_at - 1
    life.kill()

    again = Life(tmp_path, served)
    assert again.server.report.restored == 2
    assert all(stream.owner == b"" for stream in again.server.streams.values())
    for name in drawn:
        at = cursors(name, 7, drawn[name])[1]
        again.send("open", no_events(GRID, 0), at, b"another connection")
        assert again.credit() == Credit(1, name, 7, killed_at - 1, 64, killed_at - 1)
        for k in range(killed_at, len(drawn[name])):
            at = cursors(name, 7, drawn[name])[k]
            again.send("events", drawn[name][k], at, b"another connection")
        at = cursors(name, 7, drawn[name])[-1]
        again.send("end", no_events(GRID, drawn[name][-1].t_end_us), at, b"another connection")
    again.step()
    again.checkpoint()
    expected = uninterrupted(served, drawn)
    before, after = essence(life.decisions), essence(again.decisions)
    assert before | after == expected
    # What was decided twice was decided alike, under the same names.
    assert before.keys() & after.keys()
    assert after | before == expected
    ended = [reply for _, reply in again.replies if isinstance(reply, Ended)]
    finals = [value[3] for value in expected.values() if value[4]]
    assert [e.counters for e in ended] == finals
    assert again.server.report.duplicates == again.server.report.missing == 0


def test_senders_are_told_what_is_durable_once_it_is_written(tmp_path: Path) -> None:
    life = Life(tmp_path)
    drawn = chunks()
    feed(life, "a", 7, drawn, 0, 3)
    assert (life.credit().acknowledged, life.credit().durable) == (2, -1)
    life.take()
    feed(life, "a", 7, drawn, 3, 5)
    assert (life.credit().acknowledged, life.credit().durable) == (4, -1)
    life.writer.write()
    life.chore.tick()
    life.acknowledge()
    assert (life.credit().acknowledged, life.credit().durable) == (4, 2)
    life.checkpoint()
    assert (life.credit().acknowledged, life.credit().durable) == (4, 4)
    assert life.server.report.checkpoints == 2


def test_a_sender_is_told_that_its_stream_has_ended_once_that_is_written(tmp_path: Path) -> None:
    """Else a daemon that is killed would wait for a sender that believes itself done."""
    drawn = chunks()
    life = Life(tmp_path)
    feed(life, "a", 7, drawn, 0, 5)
    life.checkpoint()
    feed(life, "a", 7, drawn, 5, len(drawn))
    assert life.decisions[-1].final
    assert not [reply for _, reply in life.replies if isinstance(reply, Ended)]
    life.kill()
    again = Life(tmp_path, life.deployment)
    again.send("open", no_events(GRID, 0), cursors("a", 7, drawn)[0])
    feed(again, "a", 7, drawn, 5, len(drawn))
    again.take()
    assert not [reply for _, reply in again.replies if isinstance(reply, Ended)]
    again.writer.write()
    again.chore.tick()
    ended = [reply for _, reply in again.replies if isinstance(reply, Ended)]
    assert [each.counters for each in ended] == [life.decisions[-1].counters]


def test_where_nothing_has_changed_nothing_is_written(tmp_path: Path) -> None:
    life = Life(tmp_path)
    feed(life, "a", 7, chunks(), 0, 3)
    life.checkpoint()
    life.take()
    assert life.writer.submitted[-1] is None
    feed(life, "a", 7, chunks(), 3, 4)
    life.take()
    assert life.writer.submitted[-1] is not None


def test_a_stream_in_the_midst_of_a_message_is_written_as_it_was_before_it(tmp_path: Path) -> None:
    life = Life(tmp_path)
    drawn = chunks()
    feed(life, "a", 7, drawn, 0, 3)
    life.checkpoint()
    at = cursors("a", 7, drawn)
    life.send("events", no_events(GRID, 400_000_000), at[3])
    life.server.turn()
    life.send("open", no_events(GRID, 0), Cursor("b", GRID, 7))
    life.writer.is_due = True
    passes = 0
    while life.writer.is_due:
        life.chore.tick()
        life.server.turn()
        passes += 1
    assert 2 < passes < 100
    assert life.writer.woken == passes - 1
    checkpoint = life.writer.submitted[-1]
    assert checkpoint is not None
    stands = {saved.entry.name: saved.entry.stepped for saved in checkpoint.streams}
    assert stands == {"a": 2, "b": -1}


def test_no_pass_copies_for_longer_than_its_budget(tmp_path: Path) -> None:
    life = Life(tmp_path)
    for name in "abcd":
        feed(life, name, 7, chunks(), 0, 2)
    now = iter(range(1_000))
    life.chore.clock_s = lambda: float(next(now))
    life.writer.is_due = True
    for left in (3, 2, 1):
        life.chore.tick()
        assert (len(life.writer.submitted), life.writer.woken) == (0, 4 - left)
    life.chore.tick()
    assert len(life.writer.submitted) == 1


def test_a_disk_that_is_full_stops_nothing_and_is_tried_again(tmp_path: Path) -> None:
    life = Life(tmp_path)
    drawn = chunks()
    feed(life, "a", 7, drawn, 0, 3)
    life.checkpoint("No space left on device")
    assert life.server.report.checkpoint_failures == 1
    (line,) = life.logged("checkpoint_failed")
    assert (line["level"], line["reason"]) == ("error", "No space left on device")
    assert life.server.streams["a"].durable == -1
    # The stream has not moved, and yet it is written.
    life.checkpoint()
    assert life.server.streams["a"].durable == 2
    feed(life, "a", 7, drawn, 3, len(drawn))
    assert essence(life.decisions) == uninterrupted(life.deployment, {"a": drawn})


def test_to_end_steps_what_was_received_and_keeps_the_streams(tmp_path: Path) -> None:
    drawn = chunks()
    life = Life(tmp_path)
    feed(life, "a", 7, drawn, 0, 3)
    life.send("events", drawn[3], cursors("a", 7, drawn)[3])
    told = len(life.replies)
    life.server.close()
    life.chore.close()
    assert not any(decision.final for decision in life.decisions)
    assert not [reply for _, reply in life.replies[told:] if isinstance(reply, (Refusal, Ended))]
    counters = life.server.report.counters
    assert counters.received == 240
    counters.check()
    again = Life(tmp_path, life.deployment)
    assert again.server.streams["a"].stepped == 3
    again.send("open", no_events(GRID, 0), cursors("a", 7, drawn)[0])
    feed(again, "a", 7, drawn, 4, len(drawn))
    found = essence(life.decisions) | essence(again.decisions)
    assert found == uninterrupted(life.deployment, {"a": drawn})


def test_a_sender_that_has_started_anew_finishes_the_restored_stream(tmp_path: Path) -> None:
    life = Life(tmp_path)
    feed(life, "a", 7, chunks(), 0, 3)
    life.checkpoint()
    life.kill()
    again = Life(tmp_path, life.deployment)
    again.send("open", no_events(GRID, 0), Cursor("a", GRID, 8))
    assert again.decisions[-1].final
    assert again.server.streams["a"].epoch == 8
    again.checkpoint()
    checkpoint = again.writer.submitted[-1]
    assert checkpoint is not None
    assert [saved.entry.epoch for saved in checkpoint.streams] == [8]


def test_a_stream_that_was_finished_is_told_so_after_a_restart(tmp_path: Path) -> None:
    life = Life(tmp_path)
    drawn = chunks()
    feed(life, "a", 7, drawn, 0, len(drawn))
    life.checkpoint()
    life.kill()
    again = Life(tmp_path, life.deployment)
    assert not again.server.streams
    again.send("open", no_events(GRID, 0), cursors("a", 7, drawn)[-1])
    _, reply = again.replies[-1]
    assert isinstance(reply, Ended)
    assert reply.counters == life.decisions[-1].counters


def test_late_decisions_are_kept_but_for_those_that_come_again(tmp_path: Path) -> None:
    life = Life(tmp_path)
    feed(life, "a", 7, chunks(), 0, 3)
    life.checkpoint()
    decided = len(life.decisions)
    # As if stream a had been copied before its last two decisions, in the same round.
    checkpoint = life.writer.submitted[-1]
    assert checkpoint is not None
    (saved,) = checkpoint.streams
    state = saved.state | {"place.sequence": decided - 2}
    earlier = replace(checkpoint, streams=(described(saved.entry, state),))
    life.writer.folder.write(encode_checkpoint(earlier))
    life.kill()
    again = Life(tmp_path, life.deployment)
    assert [(e[0], e[1], e[2]) for e in again.history.save()] == [
        ("a", 7, k) for k in range(decided - 2)
    ]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: deployed(model(seed=1)), "it is of the model"),
        (lambda: deployed(engine="onnx"), "it is of the engine sparse"),
        (lambda: deployed(readout="leaky"), "it is of other settings"),
        (lambda: deployed(readout="leaky", span_us=1), "it is of other settings"),
        (lambda: deployed(lateness_us=1_000), "it is of other settings"),
        (lambda: deployed(every="change"), "it is of other settings"),
        (lambda: replace(deployed(), filters=()), "it is of other settings"),
        (
            lambda: replace(deployed(), filters=(parse_filter("refractory=201us"),)),
            "it is of other settings",
        ),
    ],
)
def test_the_checkpoint_of_another_deployment_is_refused_by_name(
    tmp_path: Path, other: Any, message: str
) -> None:
    life = Life(tmp_path)
    feed(life, "a", 7, chunks(), 0, 3)
    life.checkpoint()
    life.kill()
    again = Life(tmp_path, other())
    assert not again.server.streams
    (line,) = again.logged("checkpoint_refused")
    assert [each["file"] for each in line["files"]] == ["checkpoint.1"]
    assert message in line["files"][0]["reason"]


def test_a_newer_checkpoint_of_another_model_gives_way_to_an_older_one(tmp_path: Path) -> None:
    life = Life(tmp_path)
    feed(life, "a", 7, chunks(), 0, 3)
    life.checkpoint()
    checkpoint = life.writer.submitted[-1]
    assert checkpoint is not None
    strange = replace(checkpoint, identity=replace(checkpoint.identity, model="0" * 64))
    life.writer.folder.write(encode_checkpoint(strange))
    life.kill()
    again = Life(tmp_path, life.deployment)
    assert again.server.streams["a"].stepped == 2
    assert len(again.logged("checkpoint_refused")) == 1


@pytest.mark.parametrize("engine", ["sparse", "onnx"])
def test_a_state_that_is_not_finite_is_not_written_and_ends_its_stream_alone(
    tmp_path: Path, engine: str
) -> None:
    served = deployed(engine=engine)
    life = Life(tmp_path, served)
    drawn = chunks()
    for name in ("good", "sick"):
        feed(life, name, 7, drawn, 0, 3)
    life.checkpoint()
    poison(life, "sick")
    feed(life, "good", 7, drawn, 3, 4)
    feed(life, "sick", 7, drawn, 3, 4)
    life.checkpoint()
    assert list(life.server.streams) == ["good"]
    assert life.server.report.failed == 1
    assert "left the finite numbers" in life.logged("stream_failed")[0]["reason"]
    life.kill()
    again = Life(tmp_path, served)
    assert list(again.server.streams) == ["good"]


def poison(life: Life, name: str) -> None:
    state: Any = life.server.streams[name].pipeline.state
    values = state.memory.values if hasattr(state, "memory") else state.variables[state.turn]
    values.reshape(-1)[3] = np.nan


@pytest.mark.parametrize("engine", ["sparse", "onnx"])
def test_a_stream_of_nan_leaves_its_neighbours_in_the_batch_as_they_are(
    tmp_path: Path, engine: str
) -> None:
    """Fault 13: the sick one ends, and the others decide bit for bit as without its sickness."""
    found = []
    for sick in (False, True):
        served = deployed(engine=engine, batch=4)
        life = Life(tmp_path / str(sick), served)
        drawn = {name: chunks(40, seed=ord(name)) for name in "abcd"}
        for name, each in drawn.items():
            life.send("open", no_events(GRID, 0), Cursor(name, GRID, 7))
            at = cursors(name, 7, each)
            for k in range(20):
                life.send("events", each[k], at[k])
        life.server.turn()
        if sick:
            poison(life, "b")
        life.step()
        decided = essence(life.decisions)
        found.append({key: value for key, value in decided.items() if key[0] != "b"})
        if sick:
            # It is found at the latest when the stream ends.
            feed(life, "b", 7, drawn["b"], 20, 40)
            assert "b" not in life.server.streams
            assert life.server.report.failed == 1
    assert found[0] == found[1]
    assert {key[0] for key in found[0]} == {"a", "c", "d"}


def test_the_thread_writes_what_is_submitted_and_says_when_it_is_due(tmp_path: Path) -> None:
    life = Life(tmp_path)
    feed(life, "a", 7, chunks(), 0, 3)
    writer = ThreadWriter(life.writer.folder, 0.001)
    chore = Checkpointing(life.server, life.writer.folder, writer, EventLog(out=StringIO()))
    (waker,) = chore.sources
    while life.server.report.checkpoints < 1:
        assert select.select([waker], [], [], 10.0)[0]
        chore.tick()
    assert life.server.streams["a"].durable == 2
    feed(life, "a", 7, chunks(), 3, 4)
    life.server.close()
    chore.close()
    assert life.server.report.checkpoints == 2
    again = Life(tmp_path, life.deployment)
    assert again.server.streams["a"].stepped == 3


def test_auto_takes_the_engine_of_the_checkpoint(tmp_path: Path) -> None:
    step = model()
    assert engine_to_load("auto", step, tmp_path / "none") == "auto"
    life = Life(tmp_path, deployed(step, engine="onnx"))
    feed(life, "a", 7, chunks(), 0, 3)
    life.checkpoint()
    assert engine_to_load("auto", step, tmp_path) == "onnx"
    assert engine_to_load("sparse", step, tmp_path) == "sparse"
    assert engine_to_load("auto", step, None) == "auto"
    assert engine_to_load("auto", model(seed=1), tmp_path) == "auto"
    assert not (tmp_path / "none").exists()


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    config = ServeConfig(model="m.onnx")
    assert checkpointing_of(config, tmp_path, EventLog()) == []
    kept = replace_checkpoint(config, CheckpointConfig(folder="c", every="20ms"))
    assert len(checkpointing_of(kept, tmp_path, EventLog())) == 1
    assert checkpoint_folder_of(kept, tmp_path) == tmp_path / "c"
    with pytest.raises(ConfigError, match=r"\[checkpoint\] every"):
        checkpointing_of(
            replace_checkpoint(config, CheckpointConfig(every="soon")), tmp_path, EventLog()
        )


def replace_checkpoint(config: ServeConfig, checkpoint: CheckpointConfig) -> ServeConfig:
    return msgspec.structs.replace(config, checkpoint=checkpoint)


def test_more_streams_than_are_served_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(tmp_path)
    for name in "ab":
        feed(life, name, 7, chunks(), 0, 1)
    life.checkpoint()
    life.kill()
    monkeypatch.setattr("retempo.runtime.checkpointing.MAX_STREAMS", 1)
    again = Life(tmp_path, life.deployment)
    assert not again.server.streams
    (line,) = again.logged("checkpoint_refused")
    assert line["files"][0]["reason"] == "it holds 2 streams, 1 are the most"


def test_a_second_daemon_on_the_folder_is_refused(tmp_path: Path) -> None:
    life = Life(tmp_path)
    with pytest.raises(ConfigError, match="another daemon has"):
        keep_checkpoints(tmp_path, 1.0)(life.server)
