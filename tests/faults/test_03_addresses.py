"""Fault 3: x or y outside the sensor, a channel out of range: that event is dropped and counted."""

from dataclasses import replace

import numpy as np
import pytest

from retempo.runtime.subscriber import Decisions
from tests.daemons import TIMEOUT_S, Daemon, serving
from tests.faults.rig import Hand, columns, picked, random_chunks, replayed, until_final, verdict
from tests.serve_config import deployed

pytestmark = pytest.mark.fault(3)


def test_events_outside_the_sensor_change_nothing_but_their_count(daemon: Daemon) -> None:
    good = random_chunks(10, 40)
    rng = np.random.default_rng(1)
    bad = []
    for chunk in good:
        outside = rng.random(len(chunk)) < 0.3
        far = rng.integers(34, 65_536, len(chunk)).astype(np.uint16)
        along = rng.random(len(chunk)) < 0.5
        good_x, good_y, _ = columns(chunk)
        x = np.where(outside & along, far, good_x).astype(np.uint16)
        y = np.where(outside & ~along, far, good_y).astype(np.uint16)
        bad.append((replace(chunk, x=x, y=y), outside))
    with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
        with Hand(daemon.feed) as hand:
            hand.open()
            for chunk, _ in bad:
                hand.send(chunk)
            counters = hand.end(good[-1].t_end_us)
        live = [verdict(each) for each in until_final(decisions)]
    kept = [picked(chunk, ~outside) for chunk, (_, outside) in zip(good, bad, strict=True)]
    expected, _ = replayed(deployed(daemon.config), kept)
    assert live == expected
    assert counters["invalid"] == sum(int(outside.sum()) for _, outside in bad) > 0
    assert counters["received"] == sum(map(len, good))


def test_a_message_with_a_polarity_that_is_neither_is_rejected_and_the_stream_goes_on(
    daemon: Daemon,
) -> None:
    """Such a byte is no event's but a sender's fault: the message is dropped, its events lost."""
    chunks = random_chunks(6, 40, seed=31)
    with serving(daemon.config) as own:
        with Decisions(own.decisions, timeout_s=TIMEOUT_S) as decisions:
            with Hand(own.feed) as hand:
                hand.open()
                for k, chunk in enumerate(chunks):
                    header, payload = map(bytes, hand.message(chunk))
                    if k == 2:
                        hand.raw([header, payload[:-1] + b"\x02"])
                        assert "a polarity is 0 or 1, got 2" in hand.await_rejection().reason
                    else:
                        hand.raw([header, payload])
                counters = hand.end(chunks[-1].t_end_us)
            live = [verdict(each) for each in until_final(decisions)]
        log = own.stop()
    kept = [*chunks[:2], *chunks[3:]]
    expected, _ = replayed(deployed(daemon.config), kept)
    assert live == expected
    assert (counters["received"], counters["lost"]) == (5 * 40, 40)
    (totals,) = [line for line in log if line["event"] == "totals"]
    assert totals["malformed"] == 1
