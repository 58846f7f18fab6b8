"""Fault 4: a sensor whose clock wraps (EVT3 after 16.8 s): the bins go on bit-identically."""

import json
import subprocess
from pathlib import Path

import pytest

from retempo.runtime.subscriber import Decisions
from retempo.sensors.files.writing import write_recording
from tests.daemons import COMMAND, TIMEOUT_S, Daemon
from tests.faults.rig import GRID, Hand, random_chunks, shifted, until_final, verdict
from tests.sensors.writing.sources import Given

pytestmark = pytest.mark.fault(4)

WRAP_US = 1 << 24


@pytest.mark.parametrize("file_format", ["EVT2", "EVT3"])
def test_a_recording_across_the_wrap_is_decided_as_its_events_are(
    daemon: Daemon, tmp_path: Path, file_format: str
) -> None:
    """The events of the file begin 20 ms before the wrap and end 30 ms behind it."""
    chunks = [shifted(chunk, WRAP_US - 20_000) for chunk in random_chunks(10, 200, seed=7)]
    path = tmp_path / "wrap.raw"
    write_recording(path, Given(chunks, GRID), file_format)
    with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
        command = [*COMMAND, "publish", str(path), "--to", daemon.feed, "--json"]
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, done.stderr.decode()
        from_file = [verdict(each) for each in until_final(decisions, "wrap.raw")]
        with Hand(daemon.feed) as hand:
            hand.open()
            for chunk in chunks:
                hand.send(chunk)
            hand.end(int(chunks[-1].t_us[-1]))
        by_hand = [verdict(each) for each in until_final(decisions)]
    counters = json.loads(done.stdout)["report"]["counters"]
    assert counters["binned"] == counters["received"] == sum(map(len, chunks))
    assert from_file == by_hand
    ends = [each[1] for each in by_hand[:-1]]
    assert ends == list(range(ends[0], ends[-1] + 1, 1_000))
    assert ends[0] < WRAP_US < ends[-1]
