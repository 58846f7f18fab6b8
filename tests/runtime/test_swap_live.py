"""A daemon swaps its model under load, over real sockets: nothing is lost, nothing is doubled."""

import json
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from retempo.exporters.description import GridSpec
from retempo.runtime.binner import Binner
from retempo.runtime.decision import Decision
from retempo.runtime.pipeline import Pipeline
from retempo.runtime.publish_report import PublishReport
from retempo.runtime.publisher import publish
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry
from tests.builders import cut
from tests.cli.conftest import Invoke, invoke
from tests.daemons import TIMEOUT_S
from tests.runtime.live_model import (
    Controlled,
    config_text,
    decided,
    deployed,
    essence,
    model_bytes,
    network,
    serving,
)
from tests.runtime.stand_in import GRID, events

__all__ = ["invoke"]

A, B = model_bytes(network(0)), model_bytes(network(1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.onnx").write_bytes(A)
    (tmp_path / "b.onnx").write_bytes(B)
    (tmp_path / "serve.toml").write_text(config_text())
    return tmp_path


@dataclass
class Endless:
    """Chunks of 5 ms at the sensor's pace until it is told, and then some more."""

    name: str
    seed: int
    under_way: threading.Event
    swapped: threading.Event
    sent: list[EventChunk] = field(default_factory=list)
    geometry: Geometry = GRID

    def __iter__(self) -> Iterator[EventChunk]:
        rng = np.random.default_rng(self.seed)
        left = 60
        while left:
            left -= self.swapped.is_set()
            begin_us = 5_000 * len(self.sent)
            t_us = np.sort(rng.integers(begin_us, begin_us + 5_000, rng.integers(0, 60)))
            self.sent.append(events(t_us, begin_us + 5_000, int(rng.integers(2**31))))
            if len(self.sent) == 60:
                self.under_way.set()
            yield self.sent[-1]


@dataclass
class Stream:
    """A stream that was swapped under way, and what was decided of it."""

    source: Endless
    told: list[Decision] = field(default_factory=list)
    report: PublishReport | None = None

    @property
    def whole(self) -> EventChunk:
        """All that was sent, as one chunk."""
        return joined(self.source.sent)


def joined(chunks: Sequence[EventChunk]) -> EventChunk:
    t_us, x, y, on = (
        np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in ("t_us", "x", "y", "on")
    )
    return EventChunk(t_us, chunks[-1].t_end_us, x=x, y=y, on=on)


def under_load(daemon: Controlled, act: Callable[[threading.Event], object]) -> list[Stream]:
    """Publish three streams, do something while all of them are on their way, and end them.

    What is done is handed an event that is set when a stream is decided otherwise than at first.
    """
    swapped, changed = threading.Event(), threading.Event()
    streams = [Stream(Endless(f"s{k}", k, threading.Event(), swapped)) for k in range(3)]
    by_name = {stream.source.name: stream for stream in streams}
    with Decisions(daemon.decisions, list(by_name), timeout_s=TIMEOUT_S) as decisions:

        def collect() -> None:
            ended = 0
            while ended < len(streams):
                decision = decisions.receive(TIMEOUT_S)
                assert decision is not None
                told = by_name[decision.stream].told
                told.append(decision)
                if (told[0].model, told[0].dt_us) != (decision.model, decision.dt_us):
                    changed.set()
                ended += decision.final

        def send(stream: Stream) -> None:
            stream.report = publish(stream.source, daemon.feed, speed=1.0, timeout_s=TIMEOUT_S)

        threads = [threading.Thread(target=collect)]
        threads += [threading.Thread(target=send, args=(stream,)) for stream in streams]
        for thread in threads:
            thread.start()
        try:
            for stream in streams:
                assert stream.source.under_way.wait(TIMEOUT_S)
            act(changed)
        finally:
            swapped.set()
            for thread in threads:
                thread.join(2 * TIMEOUT_S)
    return streams


def check_whole(stream: Stream) -> None:
    """Every event sent is in a bin, every bin was decided once."""
    assert stream.report is not None
    counters, sent = stream.report.counters, len(stream.whole)
    placed = sum(counters[name] for name in ("binned", "late", "invalid", "masked", "shed"))
    assert counters["received"] == placed == counters["binned"] == sent
    assert [d.sequence for d in stream.told] == list(range(len(stream.told)))
    bins = [d.t_us for d in stream.told if not d.final]
    assert bins == sorted(set(bins))
    assert counters["steps"] == len(bins)


def begin(pipeline: Pipeline, edge_us: int) -> None:
    assert isinstance(pipeline._binner, Binner)
    pipeline._binner.begin(edge_us)


def parted(chunk: EventChunk, edge_us: int) -> list[EventChunk]:
    return cut(chunk, [int(np.searchsorted(chunk.t_us, edge_us))])


def test_a_swap_under_load_parts_every_stream_at_one_edge(folder: Path) -> None:
    """Before it the decisions are those of the old model's replay, behind it the new one's."""
    with serving(folder) as daemon:

        def swap(_changed: threading.Event) -> None:
            reply = daemon.swap("b.onnx")
            assert (reply["ok"], reply["model"], reply["streams"]) == (True, "b.onnx", 3)

        streams = under_load(daemon, swap)
        assert daemon.status()["report"]["swaps"] == 1
        code, log = daemon.end()
    assert code == 0
    (swapped,) = [line for line in log if line["event"] == "swapped"]
    assert (swapped["by"], swapped["streams"]) == ("control", 3)
    old, new = deployed(A), deployed(B)
    for stream in streams:
        check_whole(stream)
        before = [d for d in stream.told if d.model == old.model.identity]
        after = stream.told[len(before) :]
        assert before
        assert {d.model for d in after} == {new.model.identity}
        edge_us = before[-1].t_us
        first, second = parted(stream.whole, edge_us)
        expected = decided(old.open("x", GRID), [replace(first, t_end_us=edge_us)])
        assert essence(before) == essence(expected[:-1])
        heir = new.open("x", GRID)
        begin(heir, edge_us)
        assert essence(after) == essence(decided(heir, [second]))


def test_a_journal_tells_each_side_of_a_swap(folder: Path, invoke: Invoke) -> None:
    """By the model that served then; behind the swap every stream goes on to its end."""
    journal = '[journal]\nfolder = "journal"'
    (folder / "serve.toml").write_text(config_text(rest=journal))
    with serving(folder) as daemon:
        streams = under_load(daemon, lambda _: daemon.swap("b.onnx"))
        assert daemon.end()[0] == 0

    def replayed(model: str) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]], str]:
        made = folder / "made.jsonl"
        done = invoke(
            *("replay", "--journal", folder / "journal", "--model", folder / model),
            *("--decisions", made, "--json"),
        )
        assert done.code == 0, done.err
        lines = map(json.loads, done.out.splitlines())
        return (
            {line["stream"]: line for line in lines},
            [json.loads(line) for line in made.read_text().splitlines()],
            done.err,
        )

    def bare(decision: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in decision.items() if k not in ("latency_us", "step_us")}

    before, made_before, note = replayed("a.onnx")
    assert "note: left out is what was served by b.onnx" in note
    after, made_after, note = replayed("b.onnx")
    assert "note: left out is what was served by a.onnx" in note
    assert {line["outcome"] for line in before.values()} == {"failed"}
    for stream in streams:
        name, told = stream.source.name, [msgspec.to_builtins(d) for d in stream.told]
        assert stream.report is not None
        assert after[name]["outcome"] == "ended"
        assert after[name]["counters"] == stream.report.counters
        first = [bare(d) for d in made_before if d["stream"] == name]
        last = [bare(d) for d in made_after if d["stream"] == name]
        assert first == [bare(d) for d in told[: len(first)]]
        assert last == [bare(d) for d in told[len(told) - len(last) :]]
        # Two messages of five bins, and the bins of one more on either side.
        assert len(told) - len(first) - len(last) <= 20


def test_another_step_on_sighup_carries_every_state(folder: Path) -> None:
    """The same network from 1 ms to 4 ms: the state goes on, as a change of resolution does."""
    with serving(folder) as daemon:

        def swap(changed: threading.Event) -> None:
            (folder / "serve.toml").write_text(config_text(top='dt = "4ms"\nmethod = "integral"'))
            daemon.process.send_signal(signal.SIGHUP)
            assert changed.wait(TIMEOUT_S)

        streams = under_load(daemon, swap)
        code, log = daemon.end()
    assert code == 0
    (swapped,) = [line for line in log if line["event"] == "swapped"]
    assert (swapped["by"], swapped["carried"]) == ("SIGHUP", True)
    old, new = deployed(A), deployed(A, 4_000, "integral")
    for stream in streams:
        check_whole(stream)
        before = [d for d in stream.told if d.dt_us == 1_000]
        after = stream.told[len(before) :]
        assert {d.dt_us for d in after} == {4_000}
        edge_us = before[-1].t_us
        assert edge_us % 4_000 == 0
        first, second = parted(stream.whole, edge_us)
        source = old.open("x", GRID)
        told = decided(source, [replace(first, t_end_us=edge_us)])
        assert essence(before) == essence(told[:-1])
        heir = new.open("x", GRID)
        old.engine.set_resolution(source.state, new.engine.resolution)
        saved = old.engine.save_state(source.state)
        heir.state = new.engine.load_state(saved, new.engine.resolution)
        heir.deciding.readout = source.deciding.readout
        begin(heir, edge_us)
        assert essence(after) == essence(decided(heir, [second]))


def test_a_model_for_another_sensor_is_refused_while_streams_are_open(folder: Path) -> None:
    other = model_bytes(network(2, GridSpec(4, 4, 2)))
    (folder / "other.onnx").write_bytes(other)
    with serving(folder) as daemon:
        replies = []
        streams = under_load(daemon, lambda _: replies.append(daemon.swap("other.onnx")))
        (reply,) = replies
        assert (reply["ok"], reply["kind"]) == (False, "input")
        assert reply["error"].startswith("other.onnx expects 4x4x2 inputs, 3 streams are open for")
        # With none open it may come.
        assert daemon.swap("other.onnx")["ok"]
        assert daemon.swap("other.onnx")["unchanged"]
        assert daemon.end()[0] == 0
    for stream in streams:
        check_whole(stream)
        expected = decided(deployed(A).open("x", GRID), [stream.whole])
        assert essence(stream.told) == essence(expected)
