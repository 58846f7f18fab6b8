"""What the package carries for the demonstration; `training/demo_assets.py` made it."""

from dataclasses import dataclass
from pathlib import Path

from retempo.exporters.step_model import StepModel, load_step
from retempo.sensors.events import EventChunk
from retempo.sensors.files import open_recording, read_all

FOLDER = Path(__file__).parent
MODEL = FOLDER / "model.onnx"
RECORDINGS = FOLDER / "recordings"


@dataclass(frozen=True, slots=True, eq=False)
class DemoRecording:
    """A recording of the simulated camera that the network was not trained on."""

    path: Path
    label: str
    events: EventChunk


def load_model() -> StepModel:
    """Return the network that was trained at 10 ms."""
    return load_step(MODEL)


def load_recordings() -> list[DemoRecording]:
    """Return all recordings, in the order of their names, `{index}_{label}.bin`."""
    return [
        DemoRecording(path, path.stem.rpartition("_")[2], read_all(open_recording(path)))
        for path in sorted(RECORDINGS.glob("*.bin"))
    ]
