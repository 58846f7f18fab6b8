"""Fused binning: the bins and counters of decoding first and binning then, bit for bit."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retempo.exporters.description import BinMode, GridSpec, InputSpec
from retempo.runtime.binner import SILENCE_US, Binner
from retempo.runtime.counters import Counters
from retempo.runtime.errors import InputError
from retempo.runtime.fused import bin_evt_file, list_evt_file, listed_bins, row_bins
from retempo.runtime.layout import BinLayout, layout_of
from retempo.runtime.rows import RowBinner
from retempo.runtime.window_table import WINDOW_BYTES
from retempo.sensors.errors import RecordingError
from retempo.sensors.events import EventChunk
from retempo.sensors.evt import Coding, Version, packed_pieces
from retempo.sensors.files import open_recording
from retempo.sensors.problems import Policy
from tests.runtime.plain_binner import rows_of
from tests.sensors.evt.streams import decode, evt2_words, evt3_words, row, single, time_high, words

Numbered = list[tuple[int, list[float]]]
# Below every time, so that the watermark of a chunk moves nothing on.
NO_TIME_US = -(1 << 62)


def by_binner(
    chunks: list[EventChunk], layout: BinLayout, dt_us: int, lateness_us: int, silence_us: int
) -> tuple[Numbered, Counters]:
    counters = Counters()
    binner = Binner(layout, dt_us, counters, lateness_us, silence_us)
    parts = [*(binner.feed(chunk) for chunk in chunks), binner.finish()]
    rows = [each for part in parts for each in rows_of(part, layout.inputs)]
    return [(number, row.tolist()) for number, row in rows], counters


def fused(data: bytes, version: Version, cuts: list[int], listed: bool, *arguments: Any) -> Any:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(places)]
    blocks = packed_pieces(Coding(version), pieces, "skip", "a stream")
    layout, dt_us, *others = arguments
    counters, bins = Counters(), []
    if listed:
        binner = Binner(layout, dt_us, counters, *others)
        for number, each in rows_of(listed_bins(blocks, binner), layout.inputs):
            bins.append((number, each.tolist()))
    else:
        for first, rows in row_bins(blocks, RowBinner(layout, dt_us, counters, *others)):
            bins += [(first + k, each.tolist()) for k, each in enumerate(rows)]
    counters.check()
    return bins, counters


STREAMS = st.one_of(
    evt3_words().map(lambda stream: ("3", stream)),
    evt2_words("2").map(lambda stream: ("2", stream)),
    evt2_words("2.1").map(lambda stream: ("2.1", stream)),
)
MODES: tuple[BinMode, ...] = ("sum", "binary", "mean", "max")


@given(
    STREAMS,
    st.lists(st.integers(0, 1 << 16), max_size=4),
    st.sampled_from(MODES),
    st.sampled_from((1, 64, 1_000, 4_097)),
    st.sampled_from((0, 1, 900, 10_000)),
    st.sampled_from((0, 500, 20_000)),
    st.sampled_from((1, 40_000, WINDOW_BYTES)),
    st.booleans(),
)
def test_fused_bins_are_those_of_the_binner(
    stream: tuple[Version, NDArray[Any]],
    cuts: list[int],
    mode: BinMode,
    dt_us: int,
    lateness_us: int,
    silence_us: int,
    window_bytes: int,
    masked: bool,
) -> None:
    version, values = stream
    # A tenth of all addresses lies on the sensor, so that some events are invalid.
    spec = InputSpec(GridSpec(1_800, 1_700, 2), mode, downsample=300, bin_unit_us=700)
    mask = np.random.default_rng(0).random((1_700, 1_800)) < 0.3 if masked else None
    layout = layout_of(spec, mask)
    # Few bins at a time, for the sake of the test's.
    silence_us = min(silence_us, 200 * dt_us)
    lateness_us = min(lateness_us, 50 * dt_us)
    columns = decode(version, values.tobytes())
    chunk = EventChunk(columns.t_us, NO_TIME_US, columns.x, columns.y, columns.on)
    expected = by_binner([chunk], layout, dt_us, lateness_us, silence_us)
    settings = (layout, dt_us, lateness_us, silence_us, window_bytes)
    for listed in (True, False):
        assert fused(values.tobytes(), version, cuts, listed, *settings) == expected


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("name", "dt_us", "downsample"),
    [("evt3.raw", 1_000, 20), ("evt3.raw", 333, 80), ("evt2.raw", 1_000, 10)],
)
def test_a_real_recording_has_the_bins_of_the_binner(
    recordings_folder: Path, name: str, dt_us: int, downsample: int
) -> None:
    path = recordings_folder / "recordings" / name
    recording = open_recording(path)
    size = recording.geometry
    layout = layout_of(InputSpec(GridSpec(size.width, size.height, 2), downsample=downsample))  # type: ignore[union-attr]
    binner = Binner(layout, dt_us, theirs := Counters())
    expected = [each for chunk in recording for each in rows_of(binner.feed(chunk), layout.inputs)]
    expected += rows_of(binner.finish(), layout.inputs)
    listed = rows_of(list_evt_file(path, layout, dt_us, ours := Counters()), layout.inputs)
    for (number, each), (other, wanted) in zip(listed, expected, strict=True):
        assert number == other
        assert (each == wanted).all()
    assert ours == theirs
    ours, at = Counters(), 0
    for first, rows in bin_evt_file(path, layout, dt_us, ours):
        for k, each in enumerate(rows):
            number, wanted = expected[at]
            assert number == first + k
            assert (each == wanted).all()
            at += 1
    assert at == len(expected)
    assert ours == theirs
    assert ours.binned == ours.received > 500_000


LAYOUT = layout_of(InputSpec(GridSpec(8, 8, 2)))


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "a.raw"
    values = [time_high(0), row(1), single(1), single(2), 0x9000, single(3)]
    path.write_bytes(b"% evt 3.0\n% end\n" + words("3", values))
    return path


@pytest.mark.parametrize(("policy", "binned"), [("stop", 2), ("skip", 3)])
def test_damage_ends_the_bins_or_is_passed_over(damaged: Path, policy: Policy, binned: int) -> None:
    counters = Counters()
    bins = bin_evt_file(damaged, LAYOUT, 1_000, counters, policy)
    assert [(first, rows.sum()) for first, rows in bins] == [(0, binned)]
    assert counters.binned == binned


def test_damage_is_named_once_the_events_before_it_are_binned(damaged: Path) -> None:
    counters = Counters()
    words = r"a\.raw: the word at byte 24 has the unknown type 0x9; copy or record it again"
    with pytest.raises(RecordingError, match=words):
        list(bin_evt_file(damaged, LAYOUT, 1_000, counters))
    assert counters.binned == 2


def test_settings_that_no_stream_has_are_refused() -> None:
    with pytest.raises(InputError, match="dt_us must be 1 or more"):
        RowBinner(LAYOUT, 0, Counters())
    assert list(row_bins([], RowBinner(LAYOUT, 1, Counters(), silence_us=SILENCE_US))) == []
