"""A network behind the daemon decides as it does in a replay."""

from dataclasses import replace

import numpy as np
import pytest

from retempo.exporters.description import GridSpec
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment, deploy
from retempo.runtime.engines import load_engine
from retempo.runtime.publisher import publish
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from tests.builders import make_network
from tests.runtime.stand_in import GRID, RECEIVE_S, Recorded, events, running_daemon


def serving(lateness_us: int) -> Deployment:
    network = make_network(geometry=GridSpec(GRID.width, GRID.height, GRID.polarities))
    resolution = resolve(network.spec, 1_000, "lag")
    model = parse_step(build_step(network, resolution).SerializeToString(), "m.onnx")
    return replace(deploy(load_engine(model, resolution, "sparse")), lateness_us=lateness_us)


def disordered(size: int = 4_000) -> Recorded:
    """Events that come up to 3 ms late, some of them outside the sensor."""
    rng = np.random.default_rng(3)
    t_us = np.sort(rng.integers(5_000, 305_000, size))
    t_us = t_us[np.argsort(t_us + rng.integers(0, 3_000, size))]
    chunks = []
    for part in np.array_split(t_us, 7):
        later = t_us[t_us >= part.max()]
        chunk = events(part, int(min(part.max() - 3_000, later.min(initial=2**40))))
        assert chunk.x is not None
        chunk.x[::50] = GRID.width
        chunks.append(chunk)
    last = chunks[-1]
    chunks[-1] = EventChunk(last.t_us, 305_000, last.x, last.y, last.on)
    return Recorded("a", chunks)


def essence(decisions: list[Decision]) -> list[tuple[int, str, list[float]]]:
    return [(d.t_us, d.label, d.scores) for d in decisions]


@pytest.mark.parametrize("lateness_us", [0, 2_000, 5_000])
@pytest.mark.parametrize("speed", [None, 2.0])
def test_decisions_over_the_wire_are_those_of_the_pipeline(
    lateness_us: int, speed: float | None
) -> None:
    served, source = serving(lateness_us), disordered()
    pipeline = served.open("a", GRID)
    told = [d for chunk in source for d in pipeline.feed(chunk, 0.0)]
    expected = [d for d in [*told, *pipeline.finish(0.0)] if d is not None]
    with (
        running_daemon(served=served) as daemon,
        Decisions(daemon.decisions, ["a"], timeout_s=RECEIVE_S) as decisions,
    ):
        report = publish(source, daemon.feed, speed=speed)
        received = [d for _, d in zip(range(len(expected)), decisions, strict=False)]
    assert essence(received) == essence(expected)
    assert received[-1].final
    assert report.counters == pipeline.counters.as_dict()
    assert (report.counters["late"] > 0) == (lateness_us < 3_000)
