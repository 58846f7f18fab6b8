"""Cameras by neuromorphic-drivers, against a stand-in that plays real recordings in its packets."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from retempo.sensors.collect import read_all
from retempo.sensors.errors import LiveError, SensorError
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording
from retempo.sensors.files.percent_header import read_percent_header
from retempo.sensors.live.stream import LiveStream
from tests.builders import make_chunk

nd = pytest.importorskip("neuromorphic_drivers", reason="needs the extra `camera`")

from retempo.sensors.cameras.neuromorphic import (  # noqa: E402
    MODELS,
    NeuromorphicCamera,
    configuration_of,
    open_neuromorphic,
)
from tests.sensors.cameras.stand_in import NAMES, PACKETS, RawStandIn, StandIn  # noqa: E402


def stream_of(stand_in: StandIn) -> LiveStream:
    """The stand-in as a source that ends behind its events."""
    source = LiveStream(NeuromorphicCamera(stand_in), "block")
    if not stand_in.unplugged:
        stand_in.at_end = source.stop
    return source


def whole(chunks: list[EventChunk], name: str) -> list[int]:
    column: list[int] = np.concatenate([getattr(chunk, name) for chunk in chunks]).tolist()
    return column


def test_what_is_used_of_the_package_is_there() -> None:
    """The adapter's assumptions, held against the package that is installed."""
    assert set(MODELS) == set(NAMES) == set(PACKETS)
    for model, module in MODELS.items():
        assert NAMES[model] is nd.Name[module.upper()]
        properties = getattr(nd, module).Properties()
        assert properties.width * properties.height > 0
    for packet in set(PACKETS.values()):
        assert {"polarity_events", "polarity_events_overflow_indices"} <= set(
            packet.__annotations__
        )
    ring = {each.name for each in fields(nd.generated.devices_types.status.RingStatus)}
    assert {"system_time", "current_t", "dropped_packets"} <= ring
    raw = {each.name for each in fields(nd.generated.devices_types.status.RawStatus)}
    assert {"system_time", "ring"} <= raw


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("recording", "model", "size"),
    [("evt3.raw", "evk4", (1280, 720)), ("davis346.aedat4", "davis346", (346, 260))],
)
def test_a_recording_played_by_the_camera_is_the_recording(
    recordings_folder: Path, recording: str, model: str, size: tuple[int, int]
) -> None:
    expected = read_all(open_recording(recordings_folder / "recordings" / recording))
    source = stream_of(StandIn(expected, model, size))
    assert (source.geometry.width, source.geometry.height) == size  # type: ignore[union-attr]
    chunks = list(source)
    for name in ("t_us", "x", "y", "on"):
        assert whole(chunks, name) == getattr(expected, name).tolist()
    ends = [chunk.t_end_us for chunk in chunks]
    assert ends == sorted(ends)
    assert ends[-1] == expected.t_end_us
    assert sum(chunk.lost for chunk in chunks) == 0


@pytest.mark.recordings
@pytest.mark.parametrize("packet_bytes", [4_001, 16_384])
def test_the_raw_bytes_of_a_camera_are_the_recording(
    recordings_folder: Path, packet_bytes: int
) -> None:
    """Also where a packet ends within a word; its words tell the time of the last packet too."""
    path = recordings_folder / "recordings" / "evt3.raw"
    expected = read_all(open_recording(path))
    data = path.read_bytes()
    body = data[read_percent_header(data[:65_536]).size :]
    camera = NeuromorphicCamera(RawStandIn(body, packet_bytes), raw=True)
    source = LiveStream(camera, "block")
    chunks: list[EventChunk] = []
    # The list keeps what came before the error.
    with pytest.raises(LiveError, match="is gone"):
        chunks.extend(source)
    for name in ("t_us", "x", "y", "on"):
        assert whole(chunks, name) == getattr(expected, name).tolist()
    assert sum(sum(chunk.problems.values()) for chunk in chunks) == 0
    ends = [chunk.t_end_us for chunk in chunks]
    assert ends == sorted(ends)
    assert ends[-1] >= expected.t_end_us


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_models_packets_become_chunks(model: str) -> None:
    expected = make_chunk(200, 30, 20, 50_000)
    chunks = list(stream_of(StandIn(expected, model, (30, 20))))
    assert whole(chunks, "t_us") == expected.t_us.tolist()


def test_silence_is_told_by_the_packets_that_hold_nothing() -> None:
    """Two events 100 ms apart: between them the watermark advances with every packet."""
    two = make_chunk(2, 30, 20, 1)
    events = EventChunk(np.array([1_000, 101_000], np.int64), 101_000, two.x, two.y, two.on)
    source = LiveStream(camera := NeuromorphicCamera(StandIn(events, size=(30, 20))))
    source.close()
    arrivals = [camera.read(0.0) for _ in range(50)]
    assert [len(each.columns) for each in arrivals] == [1, *[0] * 48, 1]
    assert [each.reached_us for each in arrivals] == [*range(3_000, 101_000, 2_000), 101_000]


def test_packets_that_the_ring_dropped_are_counted_once() -> None:
    expected = make_chunk(50, 30, 20, 10_000)
    stand_in = StandIn(expected, size=(30, 20), packet_us=1_000)
    stand_in.dropped = [0, 0, 3, 3, *[4] * len(stand_in._ends)]
    chunks = list(stream_of(stand_in))
    assert sum(chunk.lost for chunk in chunks) == 4
    assert sum(chunk.problems.get("overflow", 0) for chunk in chunks) == 4


def test_an_unplugged_camera_is_named_behind_its_last_events() -> None:
    expected = make_chunk(20, 30, 20, 10_000)
    stand_in = StandIn(expected, size=(30, 20), unplugged=True)
    taken: list[int] = []
    with pytest.raises(LiveError) as told:
        taken.extend(t for chunk in stream_of(stand_in) for t in chunk.t_us.tolist())
    assert "Prophesee EVK4 00050423 is gone: No such device" in str(told.value)
    assert stand_in.closed == 1


def test_biases_are_the_models_own() -> None:
    configuration = configuration_of(nd, "evk4", {"diff_on": 20})
    assert configuration.biases.diff_on == 20
    with pytest.raises(SensorError, match="evk4 has no bias 'diff_om', expected pr, fo,"):
        configuration_of(nd, "evk4", {"diff_om": 20})
    with pytest.raises(SensorError, match="biases belong to a model"):
        configuration_of(nd, "", {"diff_on": 20})


def test_no_camera_is_an_error_of_one_line() -> None:
    with pytest.raises(LiveError, match="the camera cannot be opened") as told:
        open_neuromorphic("evk4", "no such serial", {})
    assert "\n" not in str(told.value)
