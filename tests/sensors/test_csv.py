"""Event files in comma-separated text."""

from pathlib import Path

import pytest

from retempo.sensors.errors import RecordingError
from retempo.sensors.files import open_recording, read_all
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.summary import summarise

GRID = GridGeometry(34, 34)
CSV_EVENTS = [(5, 1, 2, True), (7, 3, 4, False), (6, 0, 33, True)]


@pytest.mark.parametrize(
    "text",
    [
        "t,x,y,on\n5,1,2,1\n7,3,4,0\n6,0,33,1\n",
        "5,1,2,1\n7,3,4,0\n6,0,33,1",
        "x,y,polarity,timestamp\r\n1,2,1,5\r\n3,4,0,7\r\n0,33,1,6\r\n",
        "T_US;X;Y;P\n5;1;2;1\n7;3;4;-1\n6;0;33;1\n",
        "t\tx\ty\ton\n5\t1\t2\ttrue\n7\t3\t4\tfalse\n6\t0\t33\ttrue\n",
        "\ufeff# t,x,y,p\n\n5,1,2,1\n7,3,4,0\n\n6,0,33,1\n",
        "t,extra,x,y,on\n5,9,1,2,True\n7,9,3,4,False\n6,9,0,33,True\n",
    ],
)
def test_csv_is_read_with_or_without_its_head_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    recording = open_recording(path, geometry=GRID)
    chunk = read_all(recording)
    assert recording.format == "CSV"
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    rows = zip(
        chunk.t_us.tolist(), chunk.x.tolist(), chunk.y.tolist(), chunk.on.tolist(), strict=True
    )
    assert list(rows) == CSV_EVENTS


def test_csv_events_outside_the_geometry_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,x,y,on\n1,2,3,1\n2,500,3,0\n")
    skipped = open_recording(path, geometry=GRID, policy="skip")
    assert summarise(skipped).problems == {"outside": 1}


def test_csv_without_events_yields_no_chunk(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,x,y,on\n")
    assert list(open_recording(path, geometry=GRID)) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t,x,y,on\n1,2,3\n", r"a\.csv: line 2 has 3 cells, expected 4 \('1,2,3'\)"),
        ("t,x,y,on\n1,2,-3,1\n", "line 2 has y = -3, expected a whole number from 0 to 65535"),
        ("t,x,y,on\n1,2,3,yes\n", "line 2 has on = 'yes', expected 1/0, 1/-1 or true/false"),
        ("t,x,y,on\n1,2,3,1\n\nz,2,3,1\n", "line 4 has t = 'z', expected a number"),
        ("t,x,y,on\n# hm\n1,2.5,3,1\n", "line 3 has x = 2.5, expected a whole number"),
        ("t_us,x,y,on\n1e20,2,3,1\n", "line 2 has t = 1e20, expected microseconds within 63"),
    ],
)
def test_a_csv_line_that_is_no_event_is_quoted(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=words) as caught:
        read_all(open_recording(path, geometry=GRID))
    assert "\n" not in str(caught.value)
