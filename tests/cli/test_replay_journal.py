"""`retempo replay --journal`: what a daemon process did, once more, also after kill -9."""

import json
import signal
import time
from pathlib import Path

import pytest

from retempo.runtime.decision import Decision, encode_json
from retempo.runtime.journal_format import Ended
from retempo.runtime.journal_reader import read_journal
from retempo.runtime.subscriber import Decisions
from tests.cli.conftest import Invoke
from tests.daemons import TIMEOUT_S, serving
from tests.serve_config import BY_LAG, write_config

TABLES = """
[[input.filter]]
kind = "refractory"
span = "1ms"
[journal]
folder = "journal"
"""


def ends_in(folder: Path) -> int:
    return sum(isinstance(record, Ended) for record in read_journal(folder))


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_a_journal_is_replayed_as_it_was_served(
    invoke: Invoke,
    tmp_path: Path,
    demo_model: Path,
    demo_recordings: list[Path],
    kind: signal.Signals,
) -> None:
    paths = demo_recordings[:3]
    seen = tmp_path / "seen.jsonl"
    with (
        serving(write_config(tmp_path, TABLES, top=BY_LAG)) as served,
        Decisions(served.decisions, timeout_s=TIMEOUT_S) as decisions,
    ):
        served.publish(*paths)
        live: dict[str, Decision] = {}
        lines: list[bytes] = []
        while len(live) < len(paths):
            decision = decisions.receive(TIMEOUT_S)
            assert decision is not None
            lines.append(encode_json(decision))
            if decision.final:
                live[decision.stream] = decision
        assert sum(decisions.missed.values()) == 0
        # The journal is written within a second; only then may a kill lose nothing.
        deadline_s = time.monotonic() + TIMEOUT_S
        while ends_in(tmp_path / "journal") < len(paths):
            assert time.monotonic() < deadline_s
        served.stop(kind)
    seen.write_bytes(b"\n".join(lines) + b"\n")
    made = tmp_path / "made.jsonl"
    options = ["--journal", tmp_path / "journal", "--model", demo_model]
    done = invoke("replay", *options, "--json", "--against", seen, "--decisions", made)
    assert done.code == 0, done.err
    streams = [json.loads(line) for line in done.out.splitlines()]
    assert {s["stream"]: (s["scores"], s["counters"]) for s in streams} == {
        name: (decision.scores, decision.counters) for name, decision in live.items()
    }
    assert f"{len(lines):,} of {len(lines):,} decisions" in done.err
    assert len(made.read_bytes().splitlines()) == len(lines)
    # What was not decided so is told.
    lied = [json.loads(line) for line in lines]
    lied[7]["label"] = "nothing"
    seen.write_text("\n".join(map(json.dumps, lied)))
    failed = invoke("replay", *options, "--against", seen)
    assert failed.code == 1
    assert "decision 7 of" in failed.err
    assert "differs in label" in failed.err


def test_what_cannot_be_replayed_is_told(
    invoke: Invoke, tmp_path: Path, demo_model: Path, run_folder: Path
) -> None:
    def told(*arguments: object) -> str:
        done = invoke("replay", *arguments)
        assert done.code != 0
        return done.err

    assert "no journal in" in told("--journal", tmp_path, "--model", demo_model)
    assert "Give recordings, or --journal" in told("--model", demo_model)
    assert "leave out --dt" in told("--journal", tmp_path, "--model", demo_model, "--dt", "1ms")
    assert "go with --journal" in told("a.bin", "--model", demo_model, "--against", tmp_path)
    with serving(write_config(tmp_path, TABLES, top=BY_LAG)) as served:
        served.stop()
    other = tmp_path / "other.onnx"
    assert invoke("export", run_folder, "-o", other, "--dt", "2ms").code == 0
    assert "give that file as --model" in told("--journal", tmp_path / "journal", "--model", other)
