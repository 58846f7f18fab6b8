"""Live is replay: recordings that one process publishes and another decides."""

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq

from retempo.runtime.subscriber import Decisions
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.builders import make_chunk
from tests.cli.conftest import Invoke
from tests.cli.served import finals, replayed
from tests.daemons import COMMAND, TIMEOUT_S, Daemon


def test_the_daemon_decides_as_replay_does(
    invoke: Invoke, served: Daemon, demo_model: Path, demo_recordings: list[Path]
) -> None:
    """Scores and counters alike, to the last bit."""
    paths = demo_recordings[:20]
    with Decisions(served.decisions, timeout_s=TIMEOUT_S) as decisions:
        report = served.publish(*paths)
        live = finals(decisions, {path.name for path in paths})
        assert sum(decisions.missed.values()) == 0
    assert [line["stream"] for line in report] == [path.name for path in paths]
    assert live == replayed(invoke, paths, demo_model)


def test_the_sensors_pace_changes_nothing(
    invoke: Invoke, served: Daemon, demo_model: Path, demo_recordings: list[Path]
) -> None:
    paths = demo_recordings[:2]
    with Decisions(served.decisions, timeout_s=TIMEOUT_S) as decisions:
        served.publish(*paths, "--speed", "1")
        live = finals(decisions, {path.name for path in paths})
    assert live == replayed(invoke, paths, demo_model)


def test_a_leap_of_hours_is_not_waited_for_at_the_sensors_pace(
    invoke: Invoke, served: Daemon, tmp_path: Path
) -> None:
    """Ten events before a corrupt time, ten behind it, and ten an hour later."""
    times = [*range(0, 10_000, 1_000), 9 * 10**9, *range(10_000, 20_000, 1_000)]
    times += [3_600_000_000 + t for t in range(0, 10_000, 1_000)]
    path = tmp_path / "leaps.csv"
    path.write_text("t,x,y,p\n" + "".join(f"{t},{k % 34},7,1\n" for k, t in enumerate(times)))
    options = ("--to", served.feed, "--speed", "1", "--geometry", "34x34")
    with Decisions(served.decisions, ["leaps.csv"], timeout_s=TIMEOUT_S) as decisions:
        published = invoke("publish", path, *options)
        live = finals(decisions, {"leaps.csv"})
    assert published.code == 0
    (note,) = published.err.splitlines()
    assert note.startswith("note: leaps.csv leaps ahead by 3,600 s, which is not waited for")
    _, counters = live["leaps.csv"]
    assert isinstance(counters, dict)
    assert counters["received"] == len(times)


@pytest.mark.recordings
def test_real_recordings_are_decided_as_in_a_replay(
    invoke: Invoke, served: Daemon, demo_model: Path, recordings_folder: Path
) -> None:
    """The 100 N-MNIST test recordings, by a network for the same sensor."""
    paths = sorted((recordings_folder / "nmnist" / "test").glob("*.bin"))
    assert len(paths) == 100
    # The daemon drops decisions rather than wait for a reader: read while they come.
    with (
        ThreadPoolExecutor() as pool,
        Decisions(served.decisions, timeout_s=TIMEOUT_S) as decisions,
    ):
        sent = pool.submit(served.publish, *paths)
        live = finals(decisions, {path.name for path in paths})
        sent.result(TIMEOUT_S)
    assert live == replayed(invoke, paths, demo_model)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_daemon_with_its_totals(
    served: Daemon, demo_recordings: list[Path], kind: signal.Signals
) -> None:
    path = demo_recordings[0]
    served.publish(path)
    served.stop(kind)
    (totals,) = served.lines("totals")
    assert totals["counters"]["received"] == path.stat().st_size // 5
    assert totals["counters"]["binned"] == totals["counters"]["received"]


def test_a_simulated_camera_is_a_source_like_any_other(served: Daemon) -> None:
    with Decisions(served.decisions, timeout_s=TIMEOUT_S) as decisions:
        (report,) = served.publish("simulated:7?seed=3", "--stream", "camera")
        final = finals(decisions, {"camera"})["camera"]
    assert report["report"]["counters"] == final[1]


def test_a_publisher_without_a_daemon_says_so(invoke: Invoke, demo_recordings: list[Path]) -> None:
    outcome = invoke("publish", demo_recordings[0], "--to", "ipc:///tmp/retempo-nobody-here")
    assert outcome.code == 1
    assert "no daemon answers at ipc:///tmp/retempo-nobody-here" in outcome.err


def test_a_signal_is_heeded_through_a_long_silence(served: Daemon) -> None:
    """A watermark far ahead makes the daemon step for long; it stops all the same."""
    geometry = GridGeometry(34, 34)
    at = Cursor("far", geometry, 1)
    with zmq.Context() as context, context.socket(zmq.DEALER) as sock:
        sock.set(zmq.LINGER, 0)
        sock.connect(served.feed)
        sock.send_multipart(encode_message("open", no_events(geometry, 0), at))
        assert sock.poll(int(TIMEOUT_S) * 1_000)
        event = make_chunk(1, 34, 34, 1)
        sock.send_multipart(encode_message("events", event, at))
        silence = no_events(geometry, 550_000_000)
        sock.send_multipart(encode_message("events", silence, at.after(event)))
        # A sign of life while it steps: the keepalive, a second after the last credit.
        for _ in range(2):
            assert sock.poll(int(TIMEOUT_S) * 1_000)
            sock.recv()
        served.stop()
    (totals,) = served.lines("totals")
    assert totals["counters"]["steps"] < 550_000


def test_an_interrupted_command_says_so(served: Daemon, demo_recordings: list[Path]) -> None:
    """Ctrl-C on a command that waits."""
    command = [*COMMAND, "watch", served.decisions]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        served.publish(demo_recordings[0])
        while not process.stdout.readline():
            served.publish(demo_recordings[0])
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert errors == b"retempo: interrupted\n"
