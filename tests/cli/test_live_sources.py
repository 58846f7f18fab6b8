"""Live sources through the whole of it: published, decided as in a replay, ended by Ctrl-C."""

import json
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from retempo.runtime.publisher import publish
from retempo.runtime.subscriber import Decisions
from retempo.sensors import devices
from retempo.sensors.collect import read_all
from retempo.sensors.errors import LiveError
from retempo.sensors.files import open_recording
from retempo.sensors.files.evt_writer import write_evt
from retempo.sensors.files.percent_header import read_percent_header
from retempo.sensors.live.stream import LiveStream
from tests.cli.conftest import Invoke
from tests.cli.served import finals, replayed
from tests.daemons import COMMAND, TIMEOUT_S, Daemon
from tests.sensors.live.arrivals import Played, came

needs_drivers = pytest.mark.skipif(
    find_spec("neuromorphic_drivers") is None, reason="needs the extra `camera`"
)


@contextmanager
def running(*command: object) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_with(process: subprocess.Popen[bytes], word: bytes) -> bytes:
    """The first line of its standard error that holds a word."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return line
    raise AssertionError(f"it ended without a line with {word!r}")


@needs_drivers
def test_a_camera_is_decided_as_its_recording_is(
    invoke: Invoke, served: Daemon, demo_model: Path, demo_recordings: list[Path]
) -> None:
    """Scores and counters alike, to the last bit."""
    from retempo.sensors.cameras.neuromorphic import NeuromorphicCamera
    from tests.sensors.cameras.stand_in import StandIn

    paths = demo_recordings[:5]
    with Decisions(served.decisions, timeout_s=TIMEOUT_S) as decisions:
        for path in paths:
            stand_in = StandIn(read_all(open_recording(path)), size=(34, 34))
            source = LiveStream(NeuromorphicCamera(stand_in), "block")
            stand_in.at_end = source.stop
            report = publish(source, served.feed, stream=path.name)
            assert (report.events, report.lost) == (len(stand_in.events), 0)
        live = finals(decisions, {path.name for path in paths})
    assert live == replayed(invoke, paths, demo_model)


@needs_drivers
def test_a_cameras_raw_bytes_are_decided_as_the_file_of_them(
    invoke: Invoke,
    served: Daemon,
    demo_model: Path,
    demo_recordings: list[Path],
    tmp_path: Path,
) -> None:
    from retempo.sensors.cameras.neuromorphic import NeuromorphicCamera
    from tests.sensors.cameras.stand_in import RawStandIn

    path = tmp_path / "digit.raw"
    source = open_recording(demo_recordings[0])
    write_evt("3", path, source.geometry, iter(source))
    data = path.read_bytes()
    body = data[read_percent_header(data).size :]
    camera = NeuromorphicCamera(RawStandIn(body, 777, (34, 34)), raw=True)
    with Decisions(served.decisions, timeout_s=TIMEOUT_S) as decisions:
        with pytest.raises(LiveError, match="is gone"):
            publish(LiveStream(camera, "block"), served.feed, stream=path.name)
        live = finals(decisions, {path.name})
    assert live == replayed(invoke, [path], demo_model)


@needs_drivers
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_camera_with_its_report(
    served: Daemon, demo_recordings: list[Path], kind: signal.Signals
) -> None:
    """The daemon gets the end and is told what was lost; a second source is not begun."""
    path = demo_recordings[0]
    play = [sys.executable, "-m", "tests.cli.publish_stand_in", path, "34x34", "7"]
    sources = ["publish", "camera:?overload=block", "camera:dvxplorer"]
    with (
        Decisions(served.decisions, timeout_s=TIMEOUT_S) as decisions,
        running(*play, *sources, "--to", served.feed, "--json") as process,
    ):
        assert b"DVXplorer 00050423 by neuromorphic-drivers, 34x34x2; Ctrl-C" in line_with(
            process, b"Ctrl-C"
        )
        line_with(process, b"played")
        process.send_signal(kind)
        out, _ = process.communicate(timeout=TIMEOUT_S)
        name = "iniVation DVXplorer 00050423"
        (_, counters) = finals(decisions, {name})[name]
    assert process.returncode == 0
    (report,) = [json.loads(line) for line in out.splitlines()]
    assert report["report"]["counters"] == counters
    assert report["report"]["events"] == path.stat().st_size // 5
    assert report["report"]["lost"] == report["report"]["counters"]["lost"] == 7
    assert report["report"]["problems"] == {"overflow": 7}


def test_datagrams_are_published_until_ctrl_c(served: Daemon) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, running(
        *COMMAND, "publish", "udp://127.0.0.1:0?size=34x34", "--to", served.feed, "--json",
        "--stream", "aer",
    ) as process:  # fmt: skip
        told = line_with(process, b"datagrams at").decode()
        port = int(told.split("udp://127.0.0.1:")[1].split(":")[0])
        sender.connect(("127.0.0.1", port))
        with Decisions(served.decisions, timeout_s=TIMEOUT_S) as decisions:
            for x in range(20):
                sender.send(struct.pack("<I", 1 << 31 | x << 16 | 5) + b"\x01" * (x == 19))
            # Its clock is the host's: bins close, and are decided, without another event.
            while (decision := decisions.receive(TIMEOUT_S)) is not None:
                if decision.counters["received"] == 20:
                    break
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    report = json.loads(out)["report"]
    assert report["events"] == report["counters"]["binned"] == 20
    assert report["problems"] == {"malformed": 1}


def test_a_source_that_fails_is_ended_before_it_is_told(served: Daemon) -> None:
    source = LiveStream(Played([came(0, 1_000, 2_000)], LiveError("the camera is gone")))
    with Decisions(served.decisions, timeout_s=TIMEOUT_S) as decisions:
        with pytest.raises(LiveError, match="the camera is gone"):
            publish(source, served.feed, stream="gone")
        (_, counters) = finals(decisions, {"gone"})["gone"]
    assert counters["received"] == 2  # type: ignore[index]


def test_a_live_source_has_a_pace_of_its_own(invoke: Invoke, served: Daemon) -> None:
    outcome = invoke("publish", "udp://127.0.0.1:0?size=34x34", "--to", served.feed, "--speed", 1)
    assert outcome.code == 1
    assert "is live and has a pace of its own, got the speed 1; leave it out" in outcome.err


def test_devices_tells_what_is_there_and_what_is_missing(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = devices.Found("camera", "EVK4 1", "camera:1", "USB 3.0", "no permission")

    def absent() -> list[devices.Found]:
        raise ImportError

    def broken() -> list[devices.Found]:
        raise LiveError("it cannot look")

    rows = (
        devices.Finder("camera", "drivers", "camera", lambda: [found]),
        devices.Finder("microphone", "sounds", "audio", absent),
        devices.Finder("camera", "others", "camera", broken),
    )
    monkeypatch.setattr(devices, "FINDERS", rows)
    outcome = invoke("devices", "--json")
    assert outcome.code == 0
    assert outcome.json == {
        "devices": [
            {
                "kind": "camera",
                "name": "EVK4 1",
                "source": "camera:1",
                "about": "USB 3.0",
                "trouble": "no permission",
            }
        ],
        "packages": [
            {"kind": "camera", "package": "drivers", "missing": None, "failed": None},
            {
                "kind": "microphone",
                "package": "sounds",
                "missing": "pip install 'retempo[audio]'",
                "failed": None,
            },
            {"kind": "camera", "package": "others", "missing": None, "failed": "it cannot look"},
        ],
    }
    out = invoke("devices").out
    assert "EVK4 1 (USB 3.0): retempo publish camera:1" in out
    assert "no permission" in out
    assert "sounds is missing: pip install 'retempo[audio]'" in out
    assert "none found" not in out
    monkeypatch.setattr(devices, "FINDERS", rows[1:])
    outcome = invoke("devices")
    assert (outcome.code, outcome.out.splitlines()[-1]) == (0, "none found")


def test_no_camera_says_what_was_found(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from retempo.sensors.cameras import choose
    from retempo.sensors.cameras.camera import Listed

    def absent() -> list[Listed]:
        raise ImportError

    packages = (
        choose.Package("neuromorphic-drivers", "neuromorphic", lambda: [Listed("evk4", "E", "9")]),
        choose.Package("dv-processing", "dv", absent),
    )
    monkeypatch.setattr(choose, "PACKAGES", packages)
    outcome = invoke("publish", "camera:evk3", "--to", "ipc:///tmp/retempo-nobody-here")
    assert outcome.code == 1
    assert outcome.err == (
        "retempo: no camera evk3 is found (found: evk4 9; dv-processing missing: pip install "
        "'retempo[camera]'); plug one in and look with retempo devices\n"
    )
