"""Fault 7: out of order within the lateness: the same bins as sorted; beyond it: counted late."""

from dataclasses import replace

import numpy as np
import pytest

from retempo.runtime.subscriber import Decisions
from tests.daemons import TIMEOUT_S, Daemon
from tests.faults.rig import Hand, picked, random_chunks, replayed, until_final, verdict
from tests.serve_config import deployed

pytestmark = pytest.mark.fault(7)


def test_disorder_within_the_lateness_gives_the_bins_of_the_sorted_stream(daemon: Daemon) -> None:
    ordered = random_chunks(10, 60, seed=2)
    rng = np.random.default_rng(3)
    # Each event is overtaken by those that are less than the lateness of 2 ms later.
    mixed = [
        picked(chunk, np.argsort(chunk.t_us + rng.integers(0, 1_900, len(chunk))))
        for chunk in ordered
    ]
    assert any((np.diff(chunk.t_us) < 0).any() for chunk in mixed)
    with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
        with Hand(daemon.feed) as hand:
            hand.open()
            for chunk in mixed:
                hand.send(chunk)
            counters = hand.end(ordered[-1].t_end_us)
        live = [verdict(each) for each in until_final(decisions)]
    expected, expected_counters = replayed(deployed(daemon.config), ordered)
    assert live == expected
    assert counters == expected_counters
    assert counters["late"] == 0


def test_events_beyond_the_lateness_are_counted_and_change_no_bin(daemon: Daemon) -> None:
    ordered = random_chunks(10, 60, seed=4)
    late = replace(ordered[2], t_end_us=ordered[6].t_end_us)
    with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
        with Hand(daemon.feed) as hand:
            hand.open()
            for chunk in (*ordered[:7], late, *ordered[7:]):
                hand.send(chunk)
            counters = hand.end(ordered[-1].t_end_us)
        live = [verdict(each) for each in until_final(decisions)]
    expected, _ = replayed(deployed(daemon.config), ordered)
    assert live == expected
    assert counters["late"] == len(late)
    assert counters["binned"] == sum(map(len, ordered))
