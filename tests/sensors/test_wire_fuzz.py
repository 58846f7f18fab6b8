"""No frame, however broken, raises anything but WireError."""

from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import WireError
from retempo.sensors.events import EventChunk
from retempo.sensors.wire import decode, encode, encode_message
from retempo.sensors.wire_header import MAX_TIME_US
from tests.sensors.wire_chunks import CHANNELS, chunks, cursor, grid_chunk

HEADER, PAYLOAD = (bytes(f) for f in encode_message("events", grid_chunk(), cursor(grid_chunk())))
FIELDS: dict[str, Any] = msgspec.msgpack.decode(HEADER)
CHANNEL_FIELDS = {"geometry": {"kind": "channels", "channels": CHANNELS.channels}}
HUGE = 2**63 // 7 + 1


def altered(**values: Any) -> bytes:
    return msgspec.msgpack.encode(FIELDS | values)


HUGE_GRID = altered(geometry=FIELDS["geometry"] | {"width": 65_536, "height": 65_536})


def without(key: str) -> bytes:
    return msgspec.msgpack.encode({k: v for k, v in FIELDS.items() if k != key})


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([], "2 frames, header and payload; got 0"),
        ([HEADER], "got 1"),
        ([HEADER, PAYLOAD, b""], "got 3"),
        ([b"", PAYLOAD], "none of Retempo's"),
        ([b"GET / HTTP/1.1", PAYLOAD], "none of Retempo's"),
        ([b"\x81\xa1\xff\x01", PAYLOAD], "none of Retempo's"),
        ([b"\x81\xa1a" + b"\x91" * 2_000, PAYLOAD], "none of Retempo's"),
        ([HEADER + b"\0" * 3_000, PAYLOAD], "at most 2048 bytes"),
        ([altered(v=2), PAYLOAD], "version 2, expected 1"),
        ([msgspec.msgpack.encode({"v": 3}), PAYLOAD], "version 3, expected 1"),
        ([altered(kind="pickle"), PAYLOAD], "breaks the format"),
        ([without("geometry"), PAYLOAD], "geometry"),
        ([altered(geometry={"kind": "cube"}), PAYLOAD], "breaks the format"),
        ([altered(geometry=FIELDS["geometry"] | {"width": 0}), PAYLOAD], "impossible"),
        ([altered(geometry=FIELDS["geometry"] | {"polarities": 3}), PAYLOAD], "impossible"),
        ([altered(count=-1), PAYLOAD], "count"),
        ([altered(count=4), PAYLOAD], "4 events of 7 bytes, the payload has 21 bytes"),
        ([altered(count=2), PAYLOAD], "2 events of 7 bytes"),
        ([altered(count=HUGE), PAYLOAD], "events of 7 bytes"),
        ([altered(count=2**64 - 1), PAYLOAD], "count"),
        ([altered(**CHANNEL_FIELDS), PAYLOAD], "3 events of 4 bytes"),
        ([HEADER, PAYLOAD[:-1]], "the payload has 20 bytes"),
        ([HEADER, PAYLOAD + b"\0"], "the payload has 22 bytes"),
        ([HUGE_GRID, PAYLOAD[:-1] + b"\2"], "a polarity is 0 or 1, got 2"),
        ([altered(t_start_us=MAX_TIME_US + 1), PAYLOAD], "t_start_us"),
        ([altered(t_end_us=-(2**63)), PAYLOAD], "t_end_us"),
        ([altered(t_end_us=2**64 - 1), PAYLOAD], "t_end_us"),
        ([altered(sequence=-1), PAYLOAD], "sequence"),
        ([altered(sequence=1.5), PAYLOAD], "sequence"),
        ([altered(stream=""), PAYLOAD], "stream"),
        ([altered(stream="a\0b"), PAYLOAD], "stream"),
        ([altered(stream="a" * 201), PAYLOAD], "stream"),
        ([altered(clock="moon"), PAYLOAD], "clock"),
        ([altered(kind="end"), PAYLOAD], "kind end carries no events"),
        ([altered(kind="open"), PAYLOAD], "kind open carries no events"),
    ],
)
def test_a_violation_is_named(frames: list[bytes], reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode(frames)


def test_a_key_of_a_later_minor_version_is_ignored() -> None:
    assert len(decode([altered(exposure_us=3), PAYLOAD]).chunk) == 3


@given(st.lists(st.binary(max_size=300), max_size=4))
def test_random_frames(frames: list[bytes]) -> None:
    with pytest.raises(WireError):
        decode(frames)


@given(chunks(most=20), st.data())
def test_valid_frames_with_bytes_changed(chunk: EventChunk, data: st.DataObject) -> None:
    frames = [bytes(frame) for frame in next(encode(chunk, cursor(chunk)))]
    which = data.draw(st.sampled_from([0, 1]))
    broken = bytearray(frames[which])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(0, len(broken) - 1)))
        what = data.draw(st.sampled_from(["change", "cut", "add"]))
        if what == "change" and broken:
            broken[place] = data.draw(st.integers(0, 255))
        elif what == "cut":
            del broken[place:]
        else:
            broken[place:place] = data.draw(st.binary(max_size=8))
    frames[which] = bytes(broken)
    with suppress(WireError):
        # What still decodes must be safe to bin: every column as long as the count.
        read = decode(frames).chunk
        assert len(read) * 7 == len(frames[1]) or len(read) * 4 == len(frames[1])
        assert read.on is None or read.on.view(np.uint8).max(initial=0) <= 1


VALUES = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.none(),
    st.booleans(),
    st.sampled_from(["open", "events", "end", "sensor", "host"]),
    st.fixed_dictionaries({"kind": st.just("channels"), "channels": st.integers(-1, 70_000)}),
)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), VALUES, max_size=4), st.binary(max_size=64))
def test_headers_of_any_values(values: dict[str, Any], payload: bytes) -> None:
    with suppress(WireError):
        decode([altered(**values), payload])
