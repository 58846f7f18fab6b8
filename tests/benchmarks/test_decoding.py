"""The repeated recordings of the decoding benchmark are sound ones."""

from pathlib import Path

import pytest

from benchmarks.decoding.repeated import repeat
from retempo.sensors.files import open_recording
from retempo.sensors.summary import summarise

pytestmark = pytest.mark.recordings


@pytest.mark.parametrize(("name", "events"), [("evt3.raw", 1_218_618), ("evt2.raw", 521_252)])
def test_the_clock_of_a_repeated_recording_goes_on_from_copy_to_copy(
    recordings_folder: Path, tmp_path: Path, name: str, events: int
) -> None:
    source = recordings_folder / "recordings" / name
    path = repeat(source, 2 * events + 1, tmp_path)
    once, summary = summarise(open_recording(source)), summarise(open_recording(path))
    assert (summary.events, summary.backward_steps) == (3 * events, 0)
    assert summary.duration_us == pytest.approx(3 * once.duration_us, abs=2 * 2 * 4_096)
