import numpy as np
import pytest
from hypothesis import given

from retempo.sensors.errors import WireError
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.pieces import PAYLOAD_BYTES, SPAN_US, no_events
from retempo.sensors.wire import Cursor, decode, encode, encode_message
from retempo.sensors.wire_header import MAX_TIME_US
from tests.sensors.wire_chunks import CHANNELS, GRID, chunks, cursor, grid_chunk


@given(chunks())
def test_what_goes_over_the_wire_comes_back_in_its_order(chunk: EventChunk) -> None:
    at = cursor(chunk, sequence=7, sent=100, lost=20)
    messages = [decode(frames) for frames in encode(chunk, at)]
    for name in ("t_us", "x", "y", "on", "channel"):
        column = getattr(chunk, name)
        if column is not None:
            back = np.concatenate([getattr(m.chunk, name) for m in messages])
            assert back.dtype == column.dtype
            assert np.array_equal(back, column)
    assert [m.sequence for m in messages] == list(range(7, 7 + len(messages)))
    assert messages[0].sent == 100
    assert messages[-1].sent + len(messages[-1].chunk) == 100 + len(chunk)
    assert {m.lost for m in messages} == {20 + chunk.lost}
    assert messages[-1].chunk.t_end_us == chunk.t_end_us


@given(chunks())
def test_every_message_keeps_its_limits_and_its_watermark(chunk: EventChunk) -> None:
    times_to_come = list(chunk.t_us)
    for frames in encode(chunk, cursor(chunk)):
        message = decode(frames)
        assert memoryview(frames[1]).nbytes <= PAYLOAD_BYTES
        if len(message.chunk):
            assert int(message.chunk.t_us.max()) - int(message.chunk.t_us.min()) <= SPAN_US
        del times_to_come[: len(message.chunk)]
        assert message.chunk.t_end_us <= chunk.t_end_us
        assert all(message.chunk.t_end_us <= t_us for t_us in times_to_come)


def test_a_large_chunk_becomes_messages_of_64_kib() -> None:
    chunk = grid_chunk(20_000, start_us=0)
    squeezed = EventChunk(chunk.t_us // 10, chunk.t_end_us, chunk.x, chunk.y, chunk.on)
    sizes = [memoryview(f[1]).nbytes for f in encode(squeezed, cursor(chunk))]
    assert sizes == [9_362 * 7, 9_362 * 7, 1_276 * 7]


def test_addresses_are_views_of_the_payload() -> None:
    sent = grid_chunk()
    frames = [bytes(frame) for frame in encode_message("events", sent, cursor(sent))]
    chunk = decode(frames).chunk
    payload = np.frombuffer(frames[1], np.uint8)
    for column in (chunk.x, chunk.y, chunk.on):
        assert column is not None
        assert np.shares_memory(column, payload)


def test_a_payload_at_an_odd_address_is_read_all_the_same() -> None:
    sent = grid_chunk(5)
    header, payload = encode_message("events", sent, cursor(sent))
    shifted = np.zeros(len(payload) + 1, np.uint8)
    odd = 1 - shifted.ctypes.data % 2
    shifted[odd : odd + len(payload)] = np.frombuffer(payload, np.uint8)
    chunk = decode([header, shifted[odd : odd + len(payload)].data]).chunk
    assert chunk.x is not None
    assert chunk.x.flags.aligned
    assert np.array_equal(chunk.x, sent.x)  # type: ignore[arg-type]


def test_silence_is_a_message_that_moves_the_watermark() -> None:
    (frames,) = encode(no_events(CHANNELS, 5_000), Cursor("ear", CHANNELS, 1))
    assert frames[1] == b""
    message = decode(frames)
    assert (len(message.chunk), message.chunk.t_end_us, message.geometry) == (0, 5_000, CHANNELS)


def test_addresses_outside_the_sensor_are_left_to_the_binning() -> None:
    sent = grid_chunk(60)
    assert sent.x is not None
    assert sent.x.max() >= GRID.width
    (frames,) = encode(sent, cursor(sent))
    assert np.array_equal(decode(frames).chunk.x, sent.x)  # type: ignore[arg-type]


@pytest.mark.parametrize(("width", "height"), [(34, 34), (65_536, 34), (34, 65_536)])
@pytest.mark.parametrize("events", [3, 5_000])
def test_an_event_of_an_impossible_polarity_is_moved_outside_the_sensor_alone(
    width: int, height: int, events: int
) -> None:
    sent = grid_chunk(events)
    assert sent.x is not None and sent.y is not None and sent.on is not None  # noqa: PT018
    geometry = GridGeometry(width, height, 2)
    header, payload = encode_message("events", sent, Cursor("cam0", geometry, 5))
    broken = bytearray(payload)
    bad = np.arange(events) % 3 == 1
    broken[6 * events :] = (
        np.where(bad, 2 + np.arange(events) % 254, sent.on).astype("u1").tobytes()
    )
    for raw in (bytes(broken), memoryview(b"\0" + broken)[1:]):
        chunk = decode([header, raw]).chunk
        assert chunk.x is not None and chunk.y is not None and chunk.on is not None  # noqa: PT018
        assert ((chunk.x >= width) | (chunk.y >= height))[bad].all()
        assert not chunk.on.view(np.uint8)[bad].any()
        for name in ("t_us", "x", "y", "on"):
            assert np.array_equal(getattr(chunk, name)[~bad], getattr(sent, name)[~bad])
        assert np.array_equal(chunk.t_us, sent.t_us)
    assert broken[6 * events + 1] > 1, "the payload itself is not written to"


def at_time(t_us: int) -> EventChunk:
    chunk = grid_chunk(1)
    return EventChunk(np.array([t_us]), t_us, chunk.x, chunk.y, chunk.on)


@pytest.mark.parametrize(
    ("chunk", "at", "reason"),
    [
        (grid_chunk(), Cursor("ear", CHANNELS, 1), "columns of 700 channels"),
        (grid_chunk(), Cursor("", GRID, 1), "1 to 200 characters"),
        (grid_chunk(), Cursor("a\nb", GRID, 1), "no control characters"),
        (grid_chunk(), Cursor("a" * 201, GRID, 1), "1 to 200 characters"),
        (grid_chunk(), Cursor("\ud800", GRID, 1), "Unicode text"),
        (grid_chunk(10_000), Cursor("a", GRID, 1), "spans at most 65535 us"),
        (at_time(MAX_TIME_US + 1), Cursor("a", GRID, 1), "within 2\\^61 us"),
        (at_time(-MAX_TIME_US - 1), Cursor("a", GRID, 1), "within 2\\^61 us"),
    ],
)
def test_what_cannot_be_sent_is_refused(chunk: EventChunk, at: Cursor, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        encode_message("events", chunk, at)
