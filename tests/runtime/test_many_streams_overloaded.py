"""More streams than a daemon can step: the overload policies see what waits in its socket."""

import time
from dataclasses import fields
from typing import Any

import pytest

from retempo.runtime.deployment import Deployment
from retempo.runtime.feed import Credit, Ended
from retempo.runtime.overload import Overload
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.builders import make_chunk
from tests.runtime.stand_in import Peer, running_daemon
from tests.runtime.test_elastic import GEOMETRY, elastic

STREAMS, MESSAGES, SPAN_US = 24, 250, 4_000
STEP_S = 100e-6


class Slow(Deployment):
    """Takes at least so long a bin that the streams are twice what it can step at 1 ms."""

    __slots__ = ()

    def step(self, jobs: Any) -> Any:
        outputs = super().step(jobs)
        time.sleep(STEP_S * sum(len(y) for y, _ in outputs))
        return outputs


def slow(overload: Overload) -> Deployment:
    quick = elastic("onnx", "lif")
    values = {f.name: getattr(quick, f.name) for f in fields(quick)}
    return Slow(**{**values, "overload": overload})


@pytest.mark.parametrize("policy", ["coarsen", "shed_oldest"])
def test_a_policy_sees_what_waits_of_many_streams(policy: Any) -> None:
    cursors = [Cursor(f"camera{k}", GEOMETRY, 1) for k in range(STREAMS)]
    chunks = [make_chunk(8, 6, 5, SPAN_US, k, start_us=k * SPAN_US) for k in range(MESSAGES)]
    with (
        running_daemon(2 * MESSAGES, slow(Overload(policy, behind_us=20_000))) as daemon,
        Peer(daemon.feed) as peer,
    ):
        for at in cursors:
            peer.send(encode_message("open", no_events(GEOMETRY, 0), at))
            peer.receive_until(Credit)
        began_s = time.monotonic()
        for number, chunk in enumerate(chunks):
            time.sleep(max(0.0, began_s + number * SPAN_US * 1e-6 - time.monotonic()))
            for at in cursors:
                at = Cursor(at.stream, GEOMETRY, 1, number, 8 * number)
                peer.send(encode_message("events", chunk, at))
        for at in cursors:
            at = Cursor(at.stream, GEOMETRY, 1, MESSAGES, 8 * MESSAGES)
            peer.send(encode_message("end", no_events(GEOMETRY, MESSAGES * SPAN_US), at))
        ended = [peer.receive_until(Ended) for _ in cursors]
    acted = "switches" if policy == "coarsen" else "shed"
    assert all(end.counters[acted] > 0 for end in ended)
    assert all(end.counters["received"] == 8 * MESSAGES for end in ended)
