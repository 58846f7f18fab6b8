"""Fault 5: time jumps back: the configured policy acts, it is counted, and no bin is negative."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import lcm
from pathlib import Path

import pytest

from retempo.runtime.decision import Decision
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from tests.daemons import TIMEOUT_S, Daemon, serving
from tests.faults.rig import Hand, Verdict, random_chunks, replayed, shifted, until_final, verdict
from tests.serve_config import deployed, write_config

pytestmark = pytest.mark.fault(5)

# The clock is set back by 90 s, from 100 s after its start.
BEFORE = [shifted(chunk, 100_000_000) for chunk in random_chunks(10, 60, seed=51)]
AFTER = [shifted(chunk, 10_000_000) for chunk in random_chunks(10, 60, seed=52)]
EVENTS = sum(map(len, [*BEFORE, *AFTER]))


def _decided(daemon: Daemon, chunks: Sequence[EventChunk]) -> tuple[list[Decision], dict[str, int]]:
    with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
        with Hand(daemon.feed) as hand:
            hand.open()
            for chunk in chunks:
                hand.send(chunk)
            counters = hand.end(chunks[-1].t_end_us)
        made = until_final(decisions)
    _in_order(made)
    return made, counters


def _in_order(made: Sequence[Decision]) -> None:
    """The times of decisions go up by bins, whatever the sensor's clock does."""
    times_us = [each.t_us for each in made if not each.final]
    assert times_us[0] > 0
    assert all(after > before for before, after in pairwise(times_us))


def _goes_on_us(config: Path) -> int:
    """Where the second part begins in the stream's time: the next edge of every bin."""
    deployment = deployed(config)
    edge_us = lcm(deployment.engine.resolution.dt_us, *deployment.ladder)
    return (BEFORE[-1].t_end_us // edge_us + 1) * edge_us


def _plain(config: Path, chunks: Sequence[EventChunk]) -> tuple[list[Verdict], dict[str, int]]:
    """What a pipeline that believes every time makes of honest times."""
    return replayed(replace(deployed(config), guard=None), chunks)


def _moved(config: Path) -> list[EventChunk]:
    by_us = _goes_on_us(config) - int(AFTER[0].t_us[0])
    return [shifted(chunk, by_us) for chunk in AFTER]


def test_carry_on_goes_on_as_if_the_clock_had_not_been_set_and_says_so(tmp_path: Path) -> None:
    with serving(write_config(tmp_path, '[input]\nlateness = "2ms"')) as daemon:
        made, counters = _decided(daemon, [*BEFORE, *AFTER])
        log = daemon.stop()
        expected, _ = _plain(daemon.config, [*BEFORE, *_moved(daemon.config)])
    assert [verdict(each) for each in made] == expected
    assert (counters["jumps"], counters["late"], counters["invalid"]) == (1, 0, 0)
    assert counters["binned"] == EVENTS
    (jump,) = [line for line in log if line["event"] == "jump"]
    assert (jump["action"], jump["stream"]) == ("carry_on", "hand")
    assert -91_000_000 < int(str(jump["by_us"])) < -89_000_000


def test_reset_decides_what_follows_as_a_new_stream(tmp_path: Path) -> None:
    with serving(write_config(tmp_path, '[guard]\nbackward = "reset"')) as daemon:
        made, counters = _decided(daemon, [*BEFORE, *AFTER])
        daemon.stop()
        expected, _ = _plain(daemon.config, _moved(daemon.config))
    # But for the numbers of the decisions, which go on.
    assert [verdict(each)[1:] for each in made[-len(expected) :]] == [each[1:] for each in expected]
    assert (counters["jumps"], counters["binned"]) == (1, EVENTS)


def test_late_drops_all_until_time_has_caught_up(tmp_path: Path) -> None:
    again = [shifted(chunk, 100_100_000) for chunk in random_chunks(4, 60, seed=53)]
    with serving(write_config(tmp_path, '[guard]\nbackward = "late"')) as daemon:
        made, counters = _decided(daemon, [*BEFORE, *AFTER, *again])
        daemon.stop()
        expected, _ = _plain(daemon.config, [*BEFORE, *again])
    assert [verdict(each) for each in made] == expected
    assert counters["late"] == sum(map(len, AFTER))
    assert counters["jumps"] == 0


@pytest.mark.parametrize("back_us", [100_060_000, 5_000_000_000])
def test_a_clock_that_falls_to_zero_or_below_makes_no_negative_bin(
    daemon: Daemon, back_us: int
) -> None:
    after = [shifted(chunk, 110_000_000 - back_us) for chunk in AFTER]
    made, counters = _decided(daemon, [*BEFORE, *after])
    assert counters["jumps"] == 1
    assert counters["binned"] == EVENTS
    assert made[-1].t_us - made[0].t_us < 200_000
    assert counters["steps"] == len(made) - 1
