"""Streams that a journal takes up in their midst are replayed from there, bit for bit."""

import errno
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment
from retempo.runtime.engines import load_engine
from retempo.runtime.journal_format import Begin, Part, Resumed
from retempo.runtime.journal_reader import read_journal
from retempo.runtime.journal_replay import JournalReplay, replay_journal
from retempo.runtime.overload import Policy
from retempo.runtime.stream_saved import load_stream, save_stream
from retempo.sensors.pieces import no_events
from tests.builders import make_chunk
from tests.runtime.test_journal import GEOMETRY, SERVED, Live, by_stream, plain, replayed, served

FINER, OTHER, COARSER_OTHER = served(dt_us=500), served(seed=1), served(seed=1, dt_us=2_000)


def replayed_by(folder: Path, *sessions: Deployment) -> tuple[JournalReplay, list[Decision]]:
    """Replay each session by its deployment, in their order."""
    decisions: list[Decision] = []
    by = iter(sessions)
    done = replay_journal(read_journal(folder), lambda _begin: next(by), decisions.append)
    assert next(by, None) is None
    return done, decisions


def swapped(live: Live, new: Deployment) -> None:
    carry = new.model.sha256 == live.server.deployment.model.sha256
    live.server.swap(live.deployment(new), carry=carry)


@pytest.mark.parametrize("new", [FINER, OTHER, COARSER_OTHER], ids=["carried", "same", "coarser"])
@pytest.mark.parametrize("policy", ["block", "coarsen", "shed_oldest", "reset"])
def test_streams_that_were_open_at_a_swap_are_recorded_on(
    tmp_path: Path, policy: Policy, new: Deployment
) -> None:
    live = Live(tmp_path, policy)
    live.open("a")
    live.open("b")
    live.play("ab", 0, 150)
    before = len(live.decisions)
    swapped(live, new)
    live.open("c")
    live.play("abc", 150, 300)
    live.step_us = 700.0
    live.play("abc", 300, 600)
    live.step_us = 200.0
    live.play("abc", 600, 800)
    live.send("a", make_chunk(50, 6, 5, 9_000, 1, start_us=-5_000_000))
    live.end("a")
    live.server.close()
    live.journal.close()
    done, decisions = replayed_by(tmp_path, SERVED, new)
    assert (done.skipped, done.notes) == ([], [])
    assert [s.outcome for s in done.streams] == ["failed"] * 2 + ["ended"] * 3
    assert sorted(s.stream for s in done.streams[2:]) == ["a", "b", "c"]
    after = by_stream(live.decisions[before:])
    made = by_stream([d for d in decisions if d.model == new.model.identity])
    for name, told in after.items():
        again = [d for d in made[name] if d["sequence"] >= told[0]["sequence"]]
        # From a few bins of the new model on there is every decision, the same.
        assert again == told[len(told) - len(again) :]
        assert len(told) - len(again) < 20
    finals = {s.stream: s.counters for s in done.streams[2:]}
    assert finals["a"] == live.counters["a"]


def test_a_stream_that_came_from_a_checkpoint_is_recorded_from_its_next_message(
    tmp_path: Path,
) -> None:
    first = Live(tmp_path / "first")
    first.open("a")
    first.play("a", 0, 100)
    saved = save_stream(first.server._streams["a"])
    second = Live(tmp_path / "second", session=8)
    second.server.restore([load_stream(saved, second.server.deployment)])
    second.at = dict(first.at)
    second._send("a", "open", no_events(GEOMETRY, 0))
    second.play("a", 100, 200)
    second.end("a")
    second.journal.close()
    done, decisions = replayed(tmp_path / "second")
    assert [(s.stream, s.epoch, s.outcome) for s in done.streams] == [("a", 1, "ended")]
    assert by_stream(decisions) == by_stream(second.decisions)
    assert decisions[0].sequence > 90
    assert done.streams[0].counters == second.counters["a"]


def test_what_a_stream_stands_at_is_written_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retempo.runtime.journal.PART_BYTES", 700)
    live = Live(tmp_path, file_bytes=20_000, files=50)
    live.open("a")
    live.play("a", 0, 50)
    swapped(live, OTHER)
    live.play("a", 50, 120)
    live.end("a")
    live.journal.close()
    records = list(read_journal(tmp_path))
    (resumed,) = [record for record in records if isinstance(record, Resumed)]
    parts = [record for record in records if isinstance(record, Part)]
    assert len(parts) > 3
    assert resumed.size == sum(len(part.state) for part in parts)
    done, decisions = replayed_by(tmp_path, SERVED, OTHER)
    assert done.streams[-1].outcome == "ended"
    assert plain(decisions[-1]) == plain(live.decisions[-1])


def test_by_another_engine_such_a_stream_is_left_out_and_told(tmp_path: Path) -> None:
    live = Live(tmp_path)
    live.open("a")
    live.play("a", 0, 50)
    swapped(live, OTHER)
    live.play("a", 50, 100)
    live.open("b")
    live.play("b", 100, 110)
    live.journal.close()
    engine = load_engine(OTHER.model, OTHER.engine.resolution, "onnx")
    done, _ = replayed_by(tmp_path, SERVED, replace(OTHER, engine=engine))
    assert [s.stream for s in done.streams] == ["a", "b"]
    (note,) = done.notes
    assert note == (
        "a stream is left out: it goes on from a state of the engine sparse, which onnx with these "
        "settings cannot take; leave out --engine"
    )


def test_a_disk_that_is_full_at_a_swap_takes_the_new_session_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [False]

    class Disk(FileIO):
        def write(self, data: Any) -> int:
            if full[0]:
                raise OSError(errno.ENOSPC, "no room")
            return super().write(data)

    monkeypatch.setattr("retempo.runtime.journal_files.FileIO", Disk)
    live = Live(tmp_path)
    live.open("a")
    live.play("a", 0, 50)
    full[0] = True
    live.now_us += 2e6
    live.journal.tick()
    live.journal.sync()
    live.play("a", 50, 60)
    assert live.journal.stopped
    swapped(live, OTHER)
    full[0] = False
    live.now_us += 11e6
    live.open("b")
    live.play("ab", 60, 120)
    live.end("b")
    live.journal.close()
    begins = [record for record in read_journal(tmp_path) if isinstance(record, Begin)]
    assert [begin.model_sha256 for begin in begins] == ["m", OTHER.model.sha256]
    done, decisions = replayed_by(tmp_path, SERVED, OTHER)
    # What was open at the swap is taken up with it.
    assert [(s.stream, s.outcome) for s in done.streams[-2:]] == [
        ("b", "ended"),
        ("a", "unfinished"),
    ]
    assert by_stream(decisions)["b"] == by_stream(live.decisions)["b"]
    last = by_stream(live.decisions)["a"][-20:]
    assert by_stream(decisions)["a"][-20:] == last
