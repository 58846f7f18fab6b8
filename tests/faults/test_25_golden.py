"""Fault 25: a recording gives the same bins live, replayed, by `onnx` and by `sparse`.

Bins are the same to the last bit, decisions of one engine too; the engines agree as the design
says: the same spikes but for potentials within rounding of the threshold, so the same labels.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk, Source
from retempo.sensors.files import open_recording
from retempo.sensors.pieces import split
from tests.daemons import TIMEOUT_S, serving
from tests.faults.rig import Hand, Verdict, replayed, until_final, verdict
from tests.serve_config import deployed, write_config

pytestmark = [pytest.mark.fault(25), pytest.mark.recordings]


def test_live_and_replay_and_both_engines_agree(tmp_path: Path, recordings_folder: Path) -> None:
    paths = sorted((recordings_folder / "nmnist" / "test").glob("*.bin"))[:5]
    by_engine: dict[str, list[tuple[list[Verdict], dict[str, int]]]] = {}
    for engine in ("onnx", "sparse"):
        folder = tmp_path / engine
        folder.mkdir()
        config = write_config(folder, f"[engine]\nname = {json.dumps(engine)}")
        by_engine[engine] = []
        with serving(config) as daemon:
            with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
                for path in paths:
                    source = open_recording(path)
                    with Hand(daemon.feed, path.name, source.geometry) as hand:
                        hand.open()
                        end_us = 0
                        for chunk in _messages(source):
                            hand.send(chunk)
                            end_us = chunk.t_end_us
                        counters = hand.end(end_us)
                    made = [verdict(each) for each in until_final(decisions, path.name)]
                    by_engine[engine].append((made, counters))
            daemon.stop()
        deployment = deployed(config)
        for path, live in zip(paths, by_engine[engine], strict=True):
            source = open_recording(path)
            assert live == replayed(deployment, source, path.name, source.geometry)
    for onnx, sparse in zip(by_engine["onnx"], by_engine["sparse"], strict=True):
        assert onnx[1] == sparse[1]
        scores = [np.array([each[3] for each in found[0]]) for found in (onnx, sparse)]
        assert [each[:2] for each in onnx[0]] == [each[:2] for each in sparse[0]]
        assert onnx[0][-1][2] == sparse[0][-1][2]
        np.testing.assert_allclose(scores[0], scores[1], atol=2e-2)


def _messages(source: Source) -> Iterator[EventChunk]:
    for chunk in source:
        yield from split(chunk)
