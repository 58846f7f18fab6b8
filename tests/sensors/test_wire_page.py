"""The page that firmware engineers read says what the code does."""

import re
from pathlib import Path

import numpy as np

from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.wire import Cursor, decode, encode_message
from retempo.sensors.wire_header import Header

PAGE = (Path(__file__).parents[2] / "docs" / "wire-format.md").read_text()
HEX_PAIRS = re.compile(r"\s*((?:[0-9a-f]{2}\s+)*[0-9a-f]{2})(?:\s|$)")


def example_frames() -> list[bytes]:
    blocks = re.findall(r"```hex\n(.*?)```", PAGE, re.DOTALL)
    frames = []
    for block in blocks:
        lines = [HEX_PAIRS.match(line) for line in block.splitlines()]
        frames.append(b"".join(bytes.fromhex(line[1]) for line in lines if line))
    return frames


def test_the_worked_example_is_the_message_that_it_describes() -> None:
    chunk = EventChunk(
        t_us=np.array([1_000_000, 1_000_250, 1_000_900]),
        t_end_us=1_001_000,
        x=np.array([3, 33, 16], np.uint16),
        y=np.array([5, 0, 300], np.uint16),
        on=np.array([True, False, True]),
    )
    at = Cursor("cam0", GridGeometry(34, 34, 2), 42, sequence=1, sent=2)
    header, payload = example_frames()
    assert [header, payload] == [bytes(f) for f in encode_message("events", chunk, at)]
    assert f"Frame 1, the header, {len(header)} bytes" in PAGE
    assert np.array_equal(decode([header, payload]).chunk.t_us, chunk.t_us)


def test_every_key_of_the_header_is_explained() -> None:
    for key in Header.__struct_fields__:
        assert f"| `{key}` |" in PAGE
