"""Fault 13: a state that is no number ends its stream; those in its batch go on bit-identically.

Weights that are no numbers never go live: see tests/exporters/test_step_model.py.
"""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from retempo.exporters.description import GridSpec
from retempo.exporters.network import Network
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.runtime.feed import Refusal
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from tests.builders import make_network
from tests.daemons import TIMEOUT_S, serving
from tests.faults.rig import GRID, Hand, columns, random_chunks, replayed, until_final, verdict
from tests.serve_config import deployed, write_config

pytestmark = pytest.mark.fault(13)

# The one pixel that neuron 0 sees, and nobody else.
FATAL = (1, 0)
_INPUTS = (FATAL[0], 34 * 34 + FATAL[0])


def _explosive() -> onnx.ModelProto:
    """A network whose neuron 0 leaves the numbers within a few steps of its first event."""
    network = make_network("adlif", hidden=(16,), geometry=GridSpec(34, 34, 2), stable=True)
    layer = network.spec.layers[0]
    a = [1e30, *layer.parameters["a"][1:]]
    calm = {"mean": [0.0] * 16, "bias": [0.0] * 16}
    assert layer.norm is not None
    layer = msgspec.structs.replace(
        layer,
        parameters=layer.parameters | {"a": a},
        norm=msgspec.structs.replace(layer.norm, **calm),
    )
    spec = msgspec.structs.replace(network.spec, layers=[layer, *network.spec.layers[1:]])
    (name,) = [key for key, matrix in network.weights.items() if matrix.shape[0] == 2 * 34 * 34]
    matrix = network.weights[name].copy()
    matrix[:, 0] = 0.0
    matrix[_INPUTS, :] = 0.0
    matrix[_INPUTS, 0] = 1.0
    return build_step(
        Network(spec, {**network.weights, name: matrix}), resolve(spec, 10_000, "none")
    )


def _safe(chunk: EventChunk) -> EventChunk:
    x, y, _ = columns(chunk)
    return replace(chunk, x=np.where((x == FATAL[0]) & (y == FATAL[1]), 0, x).astype(np.uint16))


def _fatal(chunk: EventChunk) -> EventChunk:
    x, y, _ = columns(chunk)
    return replace(chunk, x=np.full_like(x, FATAL[0]), y=np.full_like(y, FATAL[1]))


@pytest.mark.parametrize("engine", ["onnx", "sparse"])
def test_the_neighbours_of_a_sick_stream_decide_as_if_it_were_alone(
    tmp_path: Path, engine: str
) -> None:
    """Both streams are stepped in one batch; the sick one is refused with the reason."""
    model = tmp_path / "model.onnx"
    onnx.save(_explosive(), model)
    tables = f'[engine]\nname = "{engine}"\nbatch = 2\nwait = "20ms"\n[models]\ntrial = "off"'
    config = write_config(tmp_path, tables, model=model, top='dt = "10ms"')
    chunks = [_safe(chunk) for chunk in random_chunks(120, 60, seed=14, span_us=50_000)]

    def decided(*, with_sick: bool) -> tuple[object, dict[str, int], list[str]]:
        with serving(config) as daemon:
            with (
                Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions,
                Hand(daemon.feed, "well") as well,
                Hand(daemon.feed, "sick") as sick,
            ):
                well.open()
                if with_sick:
                    sick.open()
                reasons: list[str] = []
                for k, chunk in enumerate(chunks):
                    if with_sick and not reasons:
                        sick.send(_fatal(chunk))
                    well.send(chunk)
                    well.await_sequence(k)
                    if with_sick and not reasons and k % 10 == 9:
                        reasons = _refused(sick)
                counters = well.end(chunks[-1].t_end_us)
                found = [verdict(each) for each in until_final(decisions, "well")]
            daemon.stop()
        return found, counters, reasons

    alone = decided(with_sick=False)
    beside = decided(with_sick=True)
    assert beside[:2] == alone[:2]
    assert alone[:2] == replayed(deployed(config), chunks, "well", GRID)
    (reason,) = beside[2]
    assert "left the finite numbers" in reason


def _refused(hand: Hand) -> list[str]:
    """Take the replies that are there; returns why the stream was refused, if it was."""
    try:
        while True:
            reply = hand.reply(0.0)
            if isinstance(reply, Refusal):
                return [reply.reason]
    except AssertionError:
        return []
