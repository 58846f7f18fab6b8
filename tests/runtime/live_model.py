"""Model files, and a daemon of its own process that serves and swaps them, for tests."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
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
from tests import serve_config
from tests.builders import make_network
from tests.daemons import TIMEOUT_S, Daemon, Line
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
    """A deployment that can be asked to swap; `rest` are more keys of `[models]`, or tables."""
    tables = f"""
        [control]
        bind = "ipc://control"
        [models]
        stamps = "stamps"
        trial_time = "60s"
        {rest}
        [engine]
        name = "sparse"
        """
    return serve_config.config_text(tables, model=model, top=top)


class Controlled(Daemon):
    """A daemon of its own process with a control socket in its folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(["-m", "retempo.cli", "serve", "serve.toml"], folder=folder)
        self.folder = folder

    def ask(self, request: Request) -> dict[str, Any]:
        return ask(f"ipc://{self.folder / 'control'}", request, TIMEOUT_S)

    def swap(self, model: str | None) -> dict[str, Any]:
        return self.ask(Swap(model))

    def status(self) -> dict[str, Any]:
        return self.ask(Status())

    def end(self) -> tuple[int, list[Line]]:
        """Stop it over the control socket; returns its exit code and its log."""
        assert self.ask(StopRequest()) == {"ok": True, "stopping": True}
        return self.wait(), self.log


@contextmanager
def serving(folder: Path) -> Iterator[Controlled]:
    """Serve `serve.toml` of a folder, from within it."""
    with closing(Controlled(folder)) as daemon:
        yield daemon
