"""Fault 18: the disk is full, read-only or gone: inference goes on, and it is said aloud.

A process that may write no more than some bytes a file is to the daemon what a full disk is.
"""

import resource
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from retempo.runtime.feed import Credit
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from tests.daemons import TIMEOUT_S, Daemon, serving
from tests.faults.rig import Hand, random_chunks, replayed, until_final, verdict
from tests.runtime.watched import fetch, value, values_of
from tests.serve_config import METRICS, deployed, write_config

pytestmark = pytest.mark.fault(18)

CHUNKS = random_chunks(30, 60, seed=18)
KEPT = """
[checkpoint]
folder = "kept/checkpoints"
every = "20ms"
"""
JOURNAL = """
[journal]
folder = "kept/journal"
"""


def _send(hand: Hand, chunks: Sequence[EventChunk]) -> None:
    for chunk in chunks:
        hand.send(chunk)
    hand.await_sequence(hand.at.sequence - 1)


def _until_durable(hand: Hand, sequence: int) -> None:
    while True:
        reply = hand.reply()
        assert isinstance(reply, Credit)
        if reply.durable is not None and reply.durable >= sequence:
            return


def _may_write(running: Daemon, most_bytes: int | None) -> None:
    """Let the daemon's files grow to so many bytes; None lifts the limit."""
    pid, which = running.process.pid, resource.RLIMIT_FSIZE
    _, hard = resource.prlimit(pid, which)
    resource.prlimit(pid, which, (hard if most_bytes is None else most_bytes, hard))


@contextmanager
def _full(running: Daemon, folder: Path) -> Iterator[None]:
    _may_write(running, 512)
    yield
    _may_write(running, None)


@contextmanager
def _no_folder(running: Daemon, folder: Path) -> Iterator[None]:
    """A file stands where the folder was: what root may not write to either."""
    shutil.rmtree(folder / "kept")
    (folder / "kept").touch()
    yield
    (folder / "kept").unlink()


@pytest.mark.parametrize(("spoilt", "reason"), [(_full, "too large"), (_no_folder, "directory")])
def test_what_cannot_be_written_stops_no_decision_and_is_written_again_later(
    tmp_path: Path, spoilt: Callable[[Daemon, Path], AbstractContextManager[None]], reason: str
) -> None:
    config = write_config(tmp_path, METRICS + KEPT)
    with (
        serving(config) as running,
        Decisions(running.decisions, timeout_s=TIMEOUT_S) as decisions,
        Hand(running.feed) as hand,
    ):
        url = running.wait_for("metrics")["url"].removesuffix("/metrics")
        hand.open()
        _send(hand, CHUNKS[:10])
        with spoilt(running, tmp_path):
            _send(hand, CHUNKS[10:20])
            line = running.wait_for("checkpoint_failed")
            assert line["level"] == "error"
            assert reason in line["reason"]
        _send(hand, CHUNKS[20:])
        _until_durable(hand, len(CHUNKS) - 1)
        values = values_of(fetch(url, "/metrics")[2])
        assert value(values, "retempo_checkpoint_failures_total") >= 1
        assert value(values, "retempo_checkpoints_total") >= 1
        counters = hand.end(CHUNKS[-1].t_end_us)
        made = until_final(decisions)
    expected, plain = replayed(deployed(config), CHUNKS)
    assert [verdict(each) for each in made] == expected
    assert counters == plain


def test_a_journal_on_a_full_disk_stops_and_says_so_and_no_decision_does(tmp_path: Path) -> None:
    config = write_config(tmp_path, JOURNAL)
    with (
        serving(config) as running,
        Decisions(running.decisions, timeout_s=TIMEOUT_S) as decisions,
        Hand(running.feed) as hand,
    ):
        _may_write(running, 512)
        hand.open()
        _send(hand, CHUNKS)
        line = running.wait_for("journal_stopped")
        counters = hand.end(CHUNKS[-1].t_end_us)
        made = until_final(decisions)
    assert (line["level"], line["reason"]) == ("error", "File too large")
    expected, plain = replayed(deployed(config), CHUNKS)
    assert [verdict(each) for each in made] == expected
    assert counters == plain
