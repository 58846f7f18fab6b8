"""Model files, and a daemon of its own process that serves and swaps them, for tests."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retempo.exporters.description import GridSpec
from retempo.exporters.network import Network
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.control_client import ask
from retempo.runtime.control_protocol import Request, Status, StopRequest, Swap
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment, deploy
from retempo.runtime.engines import load_engine
from retempo.runtime.pipeline import Pipeline
from retempo.sensors.events import EventChunk
from tests.builders import make_network
from tests.cli.served import COMMAND, TIMEOUT_S, Served
from tests.runtime.stand_in import GRID

SPEC = GridSpec(GRID.width, GRID.height, GRID.polarities)


def network(seed: int = 0, geometry: GridSpec = SPEC) -> Network:
    return make_network(geometry=geometry, seed=seed, stable=True)


def model_bytes(net: Network, dt_us: int = 1_000, method: str = "integral") -> bytes:
    model = build_step(net, resolve(net.spec, dt_us, method))
    return bytes(model.SerializeToString())


def deployed(content: bytes, dt_us: int | None = None, method: str | None = None) -> Deployment:
    model = parse_step(content, "m.onnx")
    return deploy(load_engine(model, model.resolution(dt_us, method), "sparse"))


def decided(pipeline: Pipeline, chunks: Sequence[EventChunk]) -> list[Decision]:
    told = [d for chunk in chunks for d in pipeline.feed(chunk, 0.0)]
    told += list(pipeline.finish(0.0))
    return [d for d in told if d is not None]


def essence(decisions: Sequence[Decision]) -> list[tuple[int, int, list[float], str, bool]]:
    return [(d.t_us, d.dt_us, d.scores, d.model, d.final) for d in decisions]


def config_text(model: str = "a.onnx", *, top: str = "", rest: str = "") -> str:
    return f"""
        model = {json.dumps(model)}
        {top}
        [feed]
        bind = "tcp://127.0.0.1:*"
        [decisions]
        bind = "tcp://127.0.0.1:*"
        [control]
        bind = "ipc://control"
        [models]
        stamps = "stamps"
        trial_time = "60s"
        {rest}
        [engine]
        name = "sparse"
        """


@dataclass
class Daemon(Served):
    """A daemon of its own process with a control socket."""

    folder: Path

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        super().__init__(process)
        self.folder = folder

    def ask(self, request: Request) -> dict[str, Any]:
        return ask(f"ipc://{self.folder / 'control'}", request, TIMEOUT_S)

    def swap(self, model: str | None) -> dict[str, Any]:
        return self.ask(Swap(model))

    def status(self) -> dict[str, Any]:
        return self.ask(Status())

    def end(self) -> tuple[int, list[dict[str, Any]]]:
        """Stop it over the control socket; returns its exit code and its log."""
        assert self.ask(StopRequest()) == {"ok": True, "stopping": True}
        _, log = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, [json.loads(line) for line in log.splitlines()]


@contextmanager
def serving(folder: Path) -> Iterator[Daemon]:
    """Serve `serve.toml` of a folder, from within it."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "serve.toml"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield Daemon(process, folder)
    finally:
        process.kill()
        process.communicate()
