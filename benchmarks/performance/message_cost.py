"""What one small live message costs the daemon: CPU time by stage, many cameras in turn.

    python -m benchmarks.performance.message_cost [--streams 50] [--due 8]

Messages of the demonstration's recordings, a millisecond each, go through the daemon's own server
as fast as it takes them, without sockets. `due` messages come in before the streams have a turn: a
busy loop finds some. The CPU time of this process is counted, so a busy machine disturbs little.
"""

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice

import numpy as np

from benchmarks.performance.cameras import Film, as_received, film_of, pinned
from benchmarks.performance.results import spread
from retempo.demo.assets import load_model, load_recordings
from retempo.runtime.decision import Decision, encode_json
from retempo.runtime.deployment import Deployment, deploy
from retempo.runtime.engines import load_engine
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import Reply
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.replies import Delivery
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, Frames, encode_message

DT_US = 1_000
_OWNER = b"cost"
_KEPT = 1_000


def _now_us() -> float:
    return time.process_time_ns() / 1e3


@dataclass(slots=True)
class _Costs:
    """Microseconds of CPU time a message, a stage, one figure a round."""

    stages: dict[str, list[float]] = field(default_factory=dict)

    def add(self, stage: str, us: float) -> None:
        self.stages.setdefault(stage, []).append(us)


def measure(deployment: Deployment, films: Sequence[Film], streams: int, due: int) -> _Costs:
    """Play one film a stream, all of them together, a round for each group of films."""
    costs = _Costs()
    waiting = iter(films)
    epoch = 0
    while len(group := list(islice(waiting, streams))) == streams:
        _round(deployment, group, due, epoch, costs)
        epoch += 1
    return costs


def _round(
    deployment: Deployment, films: Sequence[Film], due: int, epoch: int, costs: _Costs
) -> None:
    decisions: list[Decision] = []

    def publish(decision: Decision) -> None:
        # Thousands that are kept would cost the garbage collector what a daemon does not pay.
        if len(decisions) < _KEPT:
            decisions.append(decision)
        published[0] += 1

    published = [0]
    server = FeedServer(deployment, _reply, publish, EventLog(out=StringIO(), interval_s=0.0))
    messages = [_messages(film, f"camera{k}", epoch, deployment) for k, film in enumerate(films)]
    shortest = min(map(len, messages)) - 1
    gc.collect()
    costs.add("a fixed work, for scale", _fixed_us())

    began_us = _now_us()
    for opening, *_ in messages:
        server.receive(_OWNER, opening)
    costs.add("open, a stream", (_now_us() - began_us) / len(messages))

    receive_us = turn_us = acknowledge_us = 0.0
    order = [each[k] for k in range(1, shortest) for each in messages]
    for begin in range(0, len(order), due):
        at_us = _now_us()
        for frames in order[begin : begin + due]:
            server.receive(_OWNER, frames)
        received_us = _now_us()
        while server.rest_us() == 0.0:
            server.turn()
        turned_us = _now_us()
        server.acknowledge()
        receive_us += received_us - at_us
        turn_us += turned_us - received_us
        acknowledge_us += _now_us() - turned_us
    costs.add("receive", receive_us / len(order))
    costs.add("turns", turn_us / len(order))
    costs.add("acknowledge", acknowledge_us / len(order))
    costs.add("all of these", (receive_us + turn_us + acknowledge_us) / len(order))

    began_us = _now_us()
    for decision in decisions:
        encode_json(decision)
    costs.add("encode a decision as JSON", (_now_us() - began_us) / len(decisions))
    costs.add("decisions a message", published[0] / len(order))

    began_us = _now_us()
    server.close()
    costs.add("close, a stream", (_now_us() - began_us) / len(messages))


def _fixed_us() -> float:
    """Time some Python that never changes: how fast the machine is just now."""
    began_us, found = _now_us(), {}
    for k in range(20_000):
        found[k % 50] = [k, float(k), str(k)]
    return (_now_us() - began_us) / 1_000


def _messages(film: Film, name: str, epoch: int, deployment: Deployment) -> list[Frames]:
    at = Cursor(name, deployment.geometry, epoch)
    found = [encode_message("open", no_events(at.geometry, 0), at)]
    for kind, piece in zip(film.kinds, film.pieces, strict=True):
        found.append(as_received(encode_message(kind, piece, at)))
        if kind == "events":
            at = at.after(piece)
    return found


def _reply(_owner: bytes, _reply: Reply) -> Delivery:
    return "sent"


def report(costs: _Costs, show: Callable[[str], None] = print) -> None:
    """Show the medians with the 10th and 90th percentile over the rounds."""
    for stage, values in costs.stages.items():
        show(f"{stage:30s} {spread(np.array(values), 2)}")


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.performance.message_cost")
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--due", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", default="sparse")
    arguments = parser.parse_args()
    model, recordings = load_model(), load_recordings()
    engine = load_engine(model, model.resolution(DT_US), arguments.engine)
    deployment = deploy(engine, every="bin")
    deployment.warm_up()
    known = [film_of(k, each, DT_US, deployment.geometry) for k, each in enumerate(recordings)]
    wanted = (arguments.rounds + 1) * arguments.streams
    films = (known * (wanted // len(known) + 1))[:wanted]
    unpin = pinned()
    try:
        measure(deployment, films[: arguments.streams], arguments.streams, arguments.due)
        costs = measure(deployment, films[arguments.streams :], arguments.streams, arguments.due)
    finally:
        unpin()
    report(costs)


if __name__ == "__main__":
    main()
