"""The pages on formats: what they say is what the code does."""

import re
import sys
from collections.abc import Iterator
from importlib import util
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.byte_decoder import decode_pieces
from retempo.sensors.columns import Columns, join
from retempo.sensors.errors import RecordingError
from retempo.sensors.files import open_recording, read_all, registry
from retempo.sensors.files.registry import FORMATS
from retempo.sensors.geometry import ChannelGeometry, GridGeometry
from retempo.sensors.open import SCHEMES
from retempo.sensors.problems import KINDS, POLICIES
from tests.builders import cut, make_chunk, seeds

DOCS = Path(__file__).parents[2] / "docs"
FORMATS_PAGE = (DOCS / "formats.md").read_text(encoding="utf-8")
GRID = GridGeometry(40, 30)


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a column heading, as cells."""
    lines = FORMATS_PAGE.splitlines()
    (start,) = [k for k, line in enumerate(lines) if line.startswith(f"| {heading} |")]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_every_format_has_its_row_with_its_suffixes_and_whether_it_is_written() -> None:
    rows = {row[0]: row for row in table("format")}
    for known in FORMATS:
        assert known.name in rows, f"docs/formats.md has no row for {known.name}"
        _, suffixes, read, written, *_ = rows[known.name]
        assert re.findall(r"`(\.[^`]+)`", suffixes) == list(known.suffixes)
        assert read == "yes"
        if known.write is not None:
            assert written.startswith("yes")
        else:
            assert not written.startswith("yes")
    assert set(rows) == {known.name for known in FORMATS}


def test_policies_and_kinds_of_problems_are_those_of_the_code() -> None:
    assert tuple(row[0].strip("`") for row in table("policy")) == POLICIES
    assert {row[0].strip("`"): row[1] for row in table("kind")} == KINDS


def test_every_live_source_is_listed() -> None:
    listed = " ".join(row[0] for row in table("source"))
    for scheme in SCHEMES:
        assert f"`{scheme.name}:" in listed


@pytest.fixture(scope="module")
def twelve() -> Iterator[ModuleType]:
    """The module that the page on adding a format shows, in the registry."""
    page = (DOCS / "adding-a-format.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    spec = util.spec_from_loader("page_format", loader=None)
    assert spec is not None
    module = util.module_from_spec(spec)
    sys.modules["page_format"] = module
    exec(compile(code, "adding-a-format.md", "exec"), module.__dict__)  # noqa: S102
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "FORMATS", (module.FORMAT, *FORMATS))
        yield module
    del sys.modules["page_format"]


def test_the_format_of_the_page_reads_back_what_it_writes(
    twelve: ModuleType, tmp_path: Path
) -> None:
    chunk = make_chunk(5_000, GRID.width, GRID.height, 1_000_000)
    path = tmp_path / "a.other"
    twelve.FORMAT.write(path, GRID, iter(cut(chunk, [7, 4_000])))
    recording = open_recording(path, chunk_events=333)
    assert (recording.format, recording.geometry) == ("TWLV", GRID)
    back = read_all(recording)
    for name in ("t_us", "x", "y", "on"):
        assert (getattr(back, name) == getattr(chunk, name)).all()
    with pytest.raises(RecordingError, match="TWLV holds grids"):
        twelve.FORMAT.write(path, ChannelGeometry(3), iter([]))


@given(seed=seeds, cuts=st.lists(st.integers(0, 500), max_size=6), rest=st.integers(0, 11))
def test_the_decoder_of_the_page_does_not_see_how_bytes_are_cut(
    twelve: ModuleType, seed: int, cuts: list[int], rest: int
) -> None:
    rng = np.random.default_rng(seed)
    # One time in four has its top bit set, which is no time.
    records = np.zeros(40, np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2")]))
    records["t"] = rng.integers(0, 2**63, 40).astype(np.uint64) << (rng.random(40) < 0.5)
    data = records.tobytes() + bytes(rest)
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges)]
    whole, split = (
        join([c for c in decode_pieces(twelve.TWLV_DECODER, p) if isinstance(c, Columns)])
        for p in ([data], pieces)
    )
    assert whole.t_us.tolist() == split.t_us.tolist()
    assert whole.problems.counts == split.problems.counts
    assert whole.problems.kept == split.problems.kept
    assert whole.problems.counts.get("truncated", 0) == (rest > 0)
    assert len(whole) + whole.problems.counts.get("damaged", 0) == 40


def test_truncation_follows_the_policy(twelve: ModuleType, tmp_path: Path) -> None:
    chunk = make_chunk(100, GRID.width, GRID.height, 1_000)
    path = tmp_path / "a.twlv"
    twelve.FORMAT.write(path, GRID, iter([chunk]))
    path.write_bytes(path.read_bytes()[:-5])
    for policy in ("skip", "stop"):
        back = read_all(open_recording(path, policy=policy))
        assert len(back) == 99
        assert back.problems == {"truncated": 1}
    with pytest.raises(RecordingError, match=r"it ends 7 bytes into an event of 12"):
        read_all(open_recording(path))
    path.write_bytes(b"TWLV\x01")
    with pytest.raises(RecordingError, match="its header is 5 bytes"):
        open_recording(path)
