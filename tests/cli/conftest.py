"""Running commands in this process and in others."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from retempo.cli.app import run
from retempo.demo.assets import MODEL, RECORDINGS
from retempo.exporters.network import Network, save_network, weight_shapes
from retempo.exporters.step_model import load_step
from tests.daemons import Daemon, serving
from tests.serve_config import BY_LAG, write_config


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> object:
        """All of stdout as JSON: anything else on it fails the test."""
        return json.loads(self.out)


Invoke = Callable[..., Outcome]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    """Run a command line in this process."""

    def command(*arguments: object) -> Outcome:
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that the demonstration's model was exported from, read back out of the model."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    graph = onnx.load(MODEL).graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    spec = load_step(MODEL).contract.network
    save_network(Network(spec, {name: arrays[name] for name in weight_shapes(spec)}), folder)
    return folder


@pytest.fixture(scope="session")
def demo_model() -> Path:
    """The model that the package carries."""
    return MODEL


@pytest.fixture(scope="session")
def demo_recordings() -> list[Path]:
    """The recordings that the package carries."""
    return sorted(RECORDINGS.glob("*.bin"))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon on the demonstration's network, as `tests.cli.served.replayed` replays it."""
    with serving(write_config(tmp_path, top=BY_LAG)) as daemon:
        yield daemon
