"""DAT: pieces, polarity, truncation; the event words themselves are in test_recordings."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.errors import RecordingError
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.files.dat import dat_decoder
from tests.sensors.byte_files import cut, dat, decoded

ROWS = st.lists(
    st.tuples(
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**14 - 1),
        st.integers(0, 2**14 - 1),
        st.integers(0, 15),
    ),
    max_size=40,
)


@given(ROWS, st.binary(max_size=7), st.lists(st.integers(0, 330), max_size=6))
def test_how_the_bytes_are_cut_never_changes_the_events(
    rows: list[tuple[int, int, int, int]], rest: bytes, places: list[int]
) -> None:
    data = dat(rows, b"")[2:] + rest
    whole = decoded(dat_decoder(2), [data])  # type: ignore[arg-type]
    assert decoded(dat_decoder(2), cut(data, places)) == whole  # type: ignore[arg-type]
    good = [row for row in rows if row[3] < 2]
    assert whole[1:4] == tuple([[row[k] for row in good] for k in (1, 2, 3)])
    assert [time % 2**32 for time in whole[0]] == [row[0] for row in good]  # type: ignore[attr-defined]
    counts = {"polarity": len(rows) - len(good), "truncated": int(bool(rest))}
    assert whole[4] == {kind: count for kind, count in counts.items() if count}


def test_the_clock_runs_on_through_its_wrap_between_pieces() -> None:
    data = dat([(2**32 - 5, 1, 1, 0), (3, 1, 1, 0), (2**32 - 1, 1, 1, 0), (9, 1, 1, 0)], b"")[2:]
    got = decoded(dat_decoder(2, t0_us=100), [data[k : k + 8] for k in range(0, 32, 8)])  # type: ignore[arg-type]
    assert got[0] == [2**32 + 95, 2**32 + 103, 2**32 + 99, 2**32 + 109]


def test_a_polarity_beyond_on_and_off_and_a_begun_event_follow_the_policy(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(dat([(1, 2, 3, 1), (5, 2, 3, 4), (9, 2, 3, 0)])[:-1])
    kept = read_all(open_recording(path, policy="skip"))
    assert kept.t_us.tolist() == [1]
    assert kept.problems == {"polarity": 1, "truncated": 1}
    with pytest.raises(RecordingError, match=r"event at 5 us has a polarity that is neither 0 nor"):
        read_all(open_recording(path))
    path.write_bytes(dat([(1, 2, 3, 1), (9, 2, 3, 0)])[:-3])
    with pytest.raises(RecordingError, match=r"a\.dat: it ends 5 bytes into an event of 8 bytes"):
        read_all(open_recording(path))
