"""Fault 8: a gap is reported; a message that is repeated or reordered is never binned twice."""

import pytest

from retempo.runtime.subscriber import Decisions
from tests.daemons import TIMEOUT_S, Daemon, serving
from tests.faults.rig import Hand, random_chunks, replayed, until_final, verdict
from tests.serve_config import deployed

pytestmark = pytest.mark.fault(8)


def test_repeated_and_reordered_messages_are_binned_once(daemon: Daemon) -> None:
    chunks = random_chunks(8, 50, seed=5)
    with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
        with Hand(daemon.feed) as hand:
            hand.open()
            messages = [hand.message(chunk) for chunk in chunks]
            for k in (0, 0, 1, 2, 1, 0, 3, 4, 5, 5, 6, 7, 3):
                hand.raw(messages[k])
            counters = hand.end(chunks[-1].t_end_us)
        live = [verdict(each) for each in until_final(decisions)]
    expected, expected_counters = replayed(deployed(daemon.config), chunks)
    assert live == expected
    assert counters == expected_counters


def test_a_gap_is_counted_and_logged_and_the_rest_is_decided(daemon: Daemon) -> None:
    chunks = random_chunks(8, 50, seed=6)
    with serving(daemon.config) as own:
        with Decisions(own.decisions, timeout_s=TIMEOUT_S) as decisions:
            with Hand(own.feed) as hand:
                hand.open()
                messages = [hand.message(chunk) for chunk in chunks]
                for k in (0, 1, 5, 6, 7):
                    hand.raw(messages[k])
                counters = hand.end(chunks[-1].t_end_us)
            live = [verdict(each) for each in until_final(decisions)]
        log = own.stop()
    expected, _ = replayed(deployed(daemon.config), [chunks[k] for k in (0, 1, 5, 6, 7)])
    assert live == expected
    assert counters["lost"] == sum(len(chunks[k]) for k in (2, 3, 4))
    gaps = [line for line in log if line["event"] == "gap"]
    assert [(line["messages"], line["events"]) for line in gaps] == [(3, counters["lost"])]
