"""`retempo publish` to a daemon that is killed while it sends."""

import json
import subprocess
from pathlib import Path

import pytest

from retempo.runtime.subscriber import Decisions
from tests.daemons import COMMAND, TIMEOUT_S, serving
from tests.serve_config import write_config

FEED, DECISIONS = 'grace = "2s"', "history = 1000000"


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_daemon_that_is_killed_is_waited_for(
    tmp_path: Path, demo_recordings: list[Path], comes_back: bool
) -> None:
    path = demo_recordings[0]
    config = write_config(tmp_path, feed_keys=FEED, decisions_keys=DECISIONS)
    with serving(config) as first:
        patience = "60s" if comes_back else "300ms"
        options = ["--speed", "0.05", "--patience", patience, "--to", first.feed, "--json"]
        command = [*COMMAND, "publish", str(path), *options]
        with (
            Decisions(first.decisions, timeout_s=TIMEOUT_S) as decisions,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as publisher,
        ):
            next(iter(decisions))
            first.process.kill()
            if comes_back:
                again = write_config(
                    tmp_path,
                    feed=first.feed,
                    feed_keys=FEED,
                    decisions=first.decisions,
                    decisions_keys=DECISIONS,
                )
                with serving(again):
                    out, errors = publisher.communicate(timeout=TIMEOUT_S)
            else:
                out, errors = publisher.communicate(timeout=TIMEOUT_S)
    if comes_back:
        assert publisher.returncode == 0, errors.decode()
        report = json.loads(out)["report"]
        assert report["reopened"] >= 1
        counters, events = report["counters"], path.stat().st_size // 5
        assert 0 < counters["binned"] == counters["received"] < events == report["events"]
        assert (counters["lost"], report["shed"], report["forgotten"]) == (0, 0, 0)
    else:
        assert publisher.returncode == 1
        (line,) = errors.decode().splitlines()
        assert "did not come back within 0.3 s; is retempo serve running there?" in line
