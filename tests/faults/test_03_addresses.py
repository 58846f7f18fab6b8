"""Fault 3: x or y outside the sensor, a channel out of range: that event is dropped and counted."""

from dataclasses import replace

import numpy as np
import pytest

from retempo.runtime.subscriber import Decisions
from tests.faults.rig import (
    TIMEOUT_S,
    Daemon,
    Hand,
    columns,
    deployed,
    picked,
    random_chunks,
    replayed,
    until_final,
    verdict,
)

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
