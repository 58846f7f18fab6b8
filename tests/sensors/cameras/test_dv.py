"""dv-processing: its own recording reader as a camera, its own writer as the peer of `dv:`."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from retempo.sensors.collect import read_all
from retempo.sensors.errors import LiveError, SensorError
from retempo.sensors.files import open_recording
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.live.stream import LiveStream
from retempo.sensors.open import open_source

dv = pytest.importorskip("dv_processing", reason="needs the extra `camera`")

from retempo.sensors.cameras.dv import DvDevice, open_dv_camera  # noqa: E402

TIMEOUT_S = 60.0
# The writer's destructor waits for its peer, so that it needs a process of its own.
WRITER = """
import socket, sys
import dv_processing as dv
import numpy as np
events = np.load(sys.argv[1])
kind = getattr(dv.io.Stream, sys.argv[2])
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
size = [(346, 260)] if sys.argv[2] == "EventStream" else []
writer = dv.io.NetworkWriter("127.0.0.1", port, kind(0, "events", "Camera_7", *size))
print(port, flush=True)
for line in sys.stdin:
    begin, end = map(int, line.split())
    store = dv.EventStore()
    for t, x, y, on in events[begin:end].tolist():
        store.push_back(t, x, y, bool(on))
    writer.writeEvents(store)
"""


class Peer:
    """A network writer of the package in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.port = int(process.stdout.readline())

    def send(self, begin: int, end: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{begin} {end}\n")
        self.process.stdin.flush()


@contextmanager
def peer(path: Path, kind: str = "EventStream") -> Iterator[Peer]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Peer(process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def table(tmp_path: Path) -> tuple[Path, list[list[int]]]:
    """Events of a sensor whose clock counts from 1970."""
    rng = np.random.default_rng(2)
    columns = [
        1_589_163_147_000_000 + np.sort(rng.integers(0, 300_000, 3_000)),
        rng.integers(0, 346, 3_000),
        rng.integers(0, 260, 3_000),
        rng.integers(0, 2, 3_000),
    ]
    events = np.stack(columns, axis=1)
    np.save(tmp_path / "events.npy", events)
    return tmp_path / "events.npy", events.tolist()


@pytest.mark.recordings
def test_the_packages_reader_of_recordings_as_a_camera(recordings_folder: Path) -> None:
    """A DAVIS346 recording, with its frames and inertial samples passed over."""
    path = recordings_folder / "recordings" / "davis346.aedat4"
    expected = read_all(open_recording(path))
    source = LiveStream(DvDevice(dv.io.MonoCameraRecording(str(path)), ends=True), "block")
    whole = read_all(source)
    for name in ("t_us", "x", "y", "on"):
        assert getattr(whole, name).tolist() == getattr(expected, name).tolist()
    assert (source.geometry, source.name) == (GridGeometry(346, 260), "DAVIS346_00000002")


def test_the_packages_own_writer_sends_every_event(table: tuple[Path, list[list[int]]]) -> None:
    path, events = table
    with peer(path) as writer:
        source = open_source(f"dv://127.0.0.1:{writer.port}?silence=sensor")
        assert isinstance(source, LiveStream)
        assert source.geometry == GridGeometry(346, 260)
        chunks, sent = iter(source), 0
        received: list[list[int]] = []
        while len(received) < len(events):
            if len(received) == sent:
                writer.send(sent, sent + 1_000)
                sent += 1_000
            chunk = next(chunks)
            assert chunk.x is not None
            assert chunk.y is not None
            assert chunk.on is not None
            received += np.stack([chunk.t_us, chunk.x, chunk.y, chunk.on], axis=1).tolist()
        writer.process.kill()
        # A peer that closes is the end of the stream, not a failure.
        assert sum(len(chunk) for chunk in chunks) == 0
    assert received == events


def test_a_stream_without_events_is_refused(table: tuple[Path, list[list[int]]]) -> None:
    with (
        peer(table[0], "IMUStream") as writer,
        pytest.raises(LiveError, match="sends no events; expected a camera's"),
    ):
        open_source(f"dv://127.0.0.1:{writer.port}")


def test_nobody_there_is_an_error_of_one_line() -> None:
    with pytest.raises(LiveError, match=r"cannot connect to 127\.0\.0\.1:1: .*refused") as told:
        open_source("dv://127.0.0.1:1")
    assert "\n" not in str(told.value)
    with pytest.raises(LiveError, match="the camera cannot be opened: Could not find") as told:
        open_dv_camera("no such serial")
    assert "\n" not in str(told.value)
    with pytest.raises(SensorError, match="tells its own sensor"):
        open_source("dv://127.0.0.1:1", GridGeometry(3, 3))


class Silent:
    """A reader of the package that gives nothing; it goes away when it is told to."""

    running = True

    def getCameraName(self) -> str:  # noqa: N802
        return "DVXplorer_DXA00001"

    def getEventResolution(self) -> tuple[int, int]:  # noqa: N802
        return (640, 480)

    def getNextEventBatch(self) -> None:  # noqa: N802
        return None

    def isRunning(self) -> bool:  # noqa: N802
        return self.running

    def isFrameStreamAvailable(self) -> bool:  # noqa: N802
        return False

    isImuStreamAvailable = isTriggerStreamAvailable = isFrameStreamAvailable  # noqa: N815


def test_a_camera_that_goes_away_is_named_and_silence_takes_its_time() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    reader = Silent()
    device = DvDevice(reader, ends=False, clock_s=lambda: now[0], sleep=sleep)
    arrival = device.read(0.005)
    assert arrival.came_us is None
    assert 5_000 <= arrival.now_us < 6_000
    reader.running = False
    with pytest.raises(LiveError, match="DVXplorer_DXA00001 is gone"):
        device.read(0.005)
