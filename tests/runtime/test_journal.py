"""What a daemon recorded is what it did: a replay decides and counts alike, bit for bit."""

import errno
import os
import threading
from dataclasses import replace
from io import FileIO, StringIO
from pathlib import Path
from typing import Any

import msgspec
import pytest

from retempo.exporters.description import GridSpec
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.decision import Decision
from retempo.runtime.decision_comparison import compare_decisions
from retempo.runtime.deployment import Deployment, deploy
from retempo.runtime.engines import load_engine
from retempo.runtime.errors import ConfigError, EngineError, InputError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import Ended, Reply
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.guard import GuardRules
from retempo.runtime.journal import Journal
from retempo.runtime.journal_config import journal_of
from retempo.runtime.journal_format import Begin, Failed, Opened, Shed, Taken, journal_files
from retempo.runtime.journal_reader import Broken, read_journal
from retempo.runtime.journal_replay import JournalReplay, replay_journal
from retempo.runtime.overload import Overload, Policy
from retempo.runtime.replies import Delivery
from retempo.runtime.serve_config import JournalConfig, ServeConfig
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import parse_filter
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.builders import make_chunk, make_network

GEOMETRY = GridGeometry(6, 5)
BEGIN = Begin(1, 7, 0, "0", "sparse", "m", "s", '{"model": "m.onnx"}', ".", None)


def served(seed: int = 0, dt_us: int = 1_000) -> Deployment:
    network = make_network(geometry=GridSpec(6, 5, 2), seed=seed, stable=seed > 0)
    built = build_step(network, resolve(network.spec, 1_000, "lag"))
    model = parse_step(built.SerializeToString(), "m.onnx")
    ladder = {k * dt_us: model.resolution(k * dt_us, "lag") for k in (1, 2, 4)}
    return replace(
        deploy(
            load_engine(model, ladder[dt_us], "sparse"), filters=(parse_filter("refractory=3ms"),)
        ),
        ladder=ladder,
        guard=GuardRules(confirm=2),
        lateness_us=500,
    )


SERVED = served()


class Live:
    """A server with a journal, whose clock goes on by each step."""

    def __init__(
        self, folder: Path, policy: Policy = "block", session: int = 7, **options: Any
    ) -> None:
        self.now_us, self.step_us, self.fails = 0.0, 300.0, False
        self.decisions: list[Decision] = []
        self.counters: dict[str, dict[str, int]] = {}
        self.log = StringIO()
        log = EventLog(self.log, interval_s=0.0)
        begin = msgspec.structs.replace(BEGIN, session=session)
        limits = {"file_bytes": 1 << 24, "files": 8} | options
        self.journal = Journal(folder, begin, log=log, clock_s=lambda: self.now_us / 1e6, **limits)
        self.overload = Overload(policy, behind_us=20_000, calm_us=200_000)
        self.server = FeedServer(
            self.deployment(SERVED),
            self.reply,
            self.decisions.append,
            log,
            recorder=self.journal,
        )
        self.at: dict[str, Cursor] = {}
        self.t_end_us = 0

    def deployment(self, served: Deployment) -> Deployment:
        inner, outer = served.engine, self

        class Slow:
            def __getattr__(self, name: str) -> Any:
                return getattr(inner, name)

            def run_many(self, jobs: Any) -> Any:
                if outer.fails:
                    raise EngineError("out of memory")
                outer.now_us += outer.step_us * sum(len(bins) for _, bins in jobs)
                return inner.run_many(jobs)

        slow: Any = Slow()
        return replace(served, engine=slow, overload=self.overload, clock_us=lambda: self.now_us)

    def reply(self, _owner: bytes, reply: Reply) -> Delivery:
        if isinstance(reply, Ended):
            self.counters[reply.stream] = reply.counters
        return "sent"

    def open(self, stream: str, epoch: int = 1) -> None:
        self.at[stream] = Cursor(stream, GEOMETRY, epoch)
        self._send(stream, "open", no_events(GEOMETRY, 0))

    def send(self, stream: str, chunk: EventChunk) -> None:
        self._send(stream, "events", chunk)
        self.t_end_us = chunk.t_end_us
        self.at[stream] = self.at[stream].after(chunk)

    def end(self, stream: str) -> None:
        self._send(stream, "end", no_events(GEOMETRY, self.t_end_us))
        self.work()

    def work(self) -> None:
        while self.server.rest_us() is not None:
            self.server.turn()

    def play(self, streams: str, begin: int, end: int) -> None:
        """Send a chunk a millisecond when it is due, and step in between."""
        for k in range(begin, end):
            while self.now_us < (k + 1) * 1_000 and self.server.rest_us() is not None:
                self.server.turn()
            self.now_us = max(self.now_us, (k + 1) * 1_000.0)
            for n, stream in enumerate(streams):
                chunk = make_chunk(6, 7, 5, 1_000, 1_000 * n + k, start_us=k * 1_000)
                self.send(stream, replace(chunk, t_end_us=(k + 1) * 1_000, lost=k % 50 == 49))
        self.work()

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = [msgspec.json.decode(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    def _send(self, stream: str, kind: Any, chunk: EventChunk) -> None:
        self.server.receive(b"me", encode_message(kind, chunk, self.at[stream]))


def replayed(folder: Path) -> tuple[JournalReplay, list[Decision]]:
    decisions: list[Decision] = []
    done = replay_journal(read_journal(folder), lambda _begin: SERVED, decisions.append)
    return done, decisions


def plain(decision: Decision) -> dict[str, Any]:
    told = msgspec.to_builtins(decision)
    return {key: told[key] for key in told.keys() - {"latency_us", "step_us"}}


def by_stream(decisions: list[Decision]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for decision in decisions:
        found.setdefault(decision.stream, []).append(plain(decision))
    return found


@pytest.mark.parametrize("policy", ["block", "coarsen", "shed_oldest", "reset"])
def test_a_journal_decides_and_counts_as_the_daemon_did(tmp_path: Path, policy: Policy) -> None:
    live = Live(tmp_path, policy)
    live.open("a")
    live.open("b")
    live.play("ab", 0, 100)
    live.step_us = 700.0
    live.play("ab", 100, 400)
    live.open("c")
    live.play("abc", 400, 420)
    live.step_us = 200.0
    live.play("ab", 420, 700)
    # The clock of `a` is set back; `b` starts anew, and is left open at the end.
    live.send("a", make_chunk(50, 6, 5, 9_000, 1, start_us=-5_000_000))
    live.end("a")
    live.open("b", epoch=2)
    live.send("b", make_chunk(50, 6, 5, 9_000, 2))
    live.server.close()
    live.journal.close()
    done, decisions = replayed(tmp_path)
    assert by_stream(decisions) == by_stream(live.decisions)
    assert [(s.stream, s.epoch, s.outcome) for s in done.streams] == [
        ("a", 1, "ended"),
        ("b", 1, "ended"),
        ("c", 1, "ended"),
        ("b", 2, "ended"),
    ]
    assert done.streams[0].counters == live.counters["a"]
    total = live.server.report.counters.as_dict()
    assert total == {k: sum(s.counters[k] for s in done.streams) for k in total}
    assert (done.skipped, done.notes) == ([], [])
    assert total["jumps"] == 1
    assert total["masked"] > 0
    assert total["lost"] > 0
    assert (total["switches"] > 2) == (policy == "coarsen")
    assert (total["shed"] > 100) == (policy in ("shed_oldest", "reset"))
    assert compare_decisions(map(plain, live.decisions), decisions).differing == []


def test_a_stream_that_failed_fails_in_its_replay(tmp_path: Path) -> None:
    live = Live(tmp_path)
    live.open("a")
    live.play("a", 0, 20)
    live.fails = True
    live.play("a", 20, 21)
    live.fails = False
    live.open("a", epoch=2)
    live.play("a", 0, 5)
    live.journal.close()
    done, decisions = replayed(tmp_path)
    assert [(s.outcome, s.why) for s in done.streams] == [
        ("failed", "out of memory"),
        ("unfinished", "the journal ends"),
    ]
    # What was being stepped when it failed is stepped here.
    shown = by_stream(live.decisions)["a"]
    assert compare_decisions(shown, decisions).alike == len(shown) == len(decisions) - 1


def some_bytes(folder: Path) -> tuple[Live, bytes]:
    live = Live(folder)
    live.open("a")
    live.play("a", 0, 60)
    live.journal.sync()
    ((_, path),) = journal_files(folder)
    return live, path.read_bytes()


def test_what_was_written_before_a_crash_is_replayed(tmp_path: Path) -> None:
    """At each byte that a file may end with: its whole records, and a note if one is torn."""
    live, content = some_bytes(tmp_path / "whole")
    live.now_us += 1.1e6
    live.journal.tick()
    live.journal.sync()
    ((_, path),) = journal_files(tmp_path / "whole")
    content = path.read_bytes()
    whole = [r for r in read_journal(tmp_path / "whole") if not isinstance(r, Broken)]
    assert len(whole) == 62
    expected = by_stream(live.decisions)["a"]
    live.journal.close()
    torn = tmp_path / "torn"
    torn.mkdir()
    for size in (*range(8, 700, 7), *range(len(content) - 200, len(content), 9)):
        (torn / "journal-00000001.rtj").write_bytes(content[:size])
        records = list(read_journal(torn))
        read = [record for record in records if not isinstance(record, Broken)]
        assert read == whole[: len(read)]
        assert len(records) - len(read) <= 1
    done, decisions = replayed(torn)
    assert by_stream(decisions)["a"] == expected[: len(decisions)]
    assert len(decisions) >= len(expected) - 3
    assert done.streams[0].outcome == "unfinished"
    assert "ends within a record at byte" in done.notes[0]


def test_a_damaged_byte_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    live, _ = some_bytes(tmp_path)
    live.journal.close()
    ((_, path),) = journal_files(tmp_path)
    content = path.read_bytes()
    for place in (3, 9, 14, 40, 300, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        assert any(isinstance(record, Broken) for record in read_journal(tmp_path))
        replayed(tmp_path)


def test_files_are_bounded_and_a_replay_begins_where_streams_do(tmp_path: Path) -> None:
    live = Live(tmp_path, file_bytes=20_000, files=3)
    live.open("o")
    live.play("o", 0, 250)
    live.open("n")
    live.play("n", 0, 100)
    live.play("o", 250, 260)
    live.end("n")
    live.journal.close()
    files = journal_files(tmp_path)
    assert len(files) == 3
    assert files[0][0] > 1
    assert all(path.stat().st_size <= 20_000 for _, path in files)
    done, decisions = replayed(tmp_path)
    assert done.skipped == ["o"]
    assert [(s.stream, s.outcome) for s in done.streams] == [("n", "ended")]
    assert by_stream(decisions) == {"n": by_stream(live.decisions)["n"]}
    # Another daemon goes on in the same folder, with the numbers that follow.
    again = Live(tmp_path, session=8, file_bytes=20_000, files=3)
    again.open("n")
    again.play("n", 0, 10)
    again.journal.close()
    done, _ = replayed(tmp_path)
    assert journal_files(tmp_path)[-1][0] == files[-1][0] + 1
    assert done.streams[-1].decisions == len(by_stream(again.decisions)["n"])
    assert not done.notes


def test_a_file_that_is_missing_ends_the_streams_that_were_open(tmp_path: Path) -> None:
    live = Live(tmp_path, file_bytes=20_000)
    live.open("a")
    live.play("a", 0, 300)
    live.journal.close()
    files = journal_files(tmp_path)
    assert len(files) > 2
    files[1][1].unlink()
    done, _ = replayed(tmp_path)
    assert done.streams[0].outcome == "unfinished"
    assert done.notes == ["journal-00000003.rtj does not go on from the file before it"]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A disk that is full while the list holds True; half of a write gets through before."""
    state = [False]
    write = FileIO.write

    class Disk(FileIO):
        def write(self, data: Any) -> int:
            if state[0]:
                write(self, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(self, data)

    monkeypatch.setattr("retempo.runtime.journal_files.FileIO", Disk)
    return state


def test_a_full_disk_stops_the_journal_and_nothing_else(tmp_path: Path, full: list[bool]) -> None:
    live = Live(tmp_path)
    live.open("a")
    live.play("a", 0, 50)
    full[0] = True
    live.now_us += 2e6
    live.journal.tick()
    live.journal.sync()
    live.play("a", 50, 100)
    live.open("b")
    live.play("b", 0, 10)
    assert len(by_stream(live.decisions)["a"]) >= 97
    assert [line["reason"] for line in live.logged("journal_stopped")] == [
        os.strerror(errno.ENOSPC)
    ]
    assert live.journal.failures == 1
    assert live.journal.dropped == 50 + 1 + 10
    # There is room again: what opens from now on is recorded, what was open is not.
    full[0] = False
    live.now_us += 11e6
    live.open("c")
    live.play("abc", 100, 130)
    live.end("c")
    live.journal.close()
    done, decisions = replayed(tmp_path)
    assert [(s.stream, s.outcome) for s in done.streams][-1] == ("c", "ended")
    assert by_stream(decisions)["c"] == by_stream(live.decisions)["c"]
    assert "b" not in by_stream(decisions)
    assert "ends within a record" in done.notes[0]


def test_a_disk_that_is_too_slow_stops_the_journal_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    class Disk(FileIO):
        def write(self, data: Any) -> int:
            assert go_on.wait(30.0)
            return super().write(data)

    go_on.set()
    monkeypatch.setattr("retempo.runtime.journal_files.FileIO", Disk)
    monkeypatch.setattr("retempo.runtime.journal_writer.MOST_BYTES", 10_000)
    live = Live(tmp_path)
    go_on.clear()
    live.open("a")
    live.play("a", 0, 100)
    assert len(by_stream(live.decisions)["a"]) >= 97
    assert [line["reason"] for line in live.logged("journal_stopped")] == [
        "the disk is slower than the feed"
    ]
    go_on.set()
    live.journal.close()


def test_a_folder_that_the_journal_makes_is_its_owners_alone(tmp_path: Path) -> None:
    Live(tmp_path / "journal").journal.close()
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"\[journal\] folder .*file"):
        Live(tmp_path / "file" / "journal")
    with pytest.raises(InputError, match=r"it has no files journal-00000001\.rtj"):
        next(read_journal(tmp_path))


def test_a_journal_begins_with_what_is_loaded_whatever_lies_on_the_disk(tmp_path: Path) -> None:
    settings = ServeConfig(model="replaced.onnx", journal=JournalConfig(folder="journal"))
    (tmp_path / "replaced.onnx").write_bytes(b"another model by now")
    journal = journal_of(settings, tmp_path, SERVED, None, EventLog(StringIO()))
    assert journal is not None
    journal.close()
    begin = next(read_journal(tmp_path / "journal"))
    assert isinstance(begin, Begin)
    assert (begin.model_sha256, begin.engine) == (SERVED.model.sha256, "sparse")
    assert len(begin.model_sha256) == 64


def test_records_hold_what_was_done_in_its_order(tmp_path: Path) -> None:
    live = Live(tmp_path, "shed_oldest")
    live.step_us = 3_000.0
    live.open("a")
    live.play("a", 0, 100)
    live.server.failed(live.server._streams["a"], EngineError("it is broken"))
    live.journal.close()
    first, second, *_, last = (r for r in read_journal(tmp_path))
    assert isinstance(first, Begin)
    assert first.number == 1
    assert isinstance(second, Opened)
    assert last == Failed(0, "it is broken")
    records = list(read_journal(tmp_path))
    taken = [record for record in records if isinstance(record, Taken)]
    shed = [
        message for record in records if isinstance(record, Shed) for message in record.messages
    ]
    assert len(taken) + len(shed) == 100
    assert [sequence for sequence, *_ in shed] == sorted(sequence for sequence, *_ in shed)
