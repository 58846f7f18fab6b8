"""Fault 6: time jumps an hour forward: a gap that is flagged, and never a burst of steps."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from retempo.runtime.decision import Decision
from retempo.runtime.publisher import publish
from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from retempo.sensors.pieces import split
from tests.daemons import TIMEOUT_S, Daemon
from tests.faults.rig import (
    GRID,
    Hand,
    columns,
    picked,
    random_chunks,
    replayed,
    shifted,
    until_final,
    verdict,
)
from tests.sensors.writing.sources import Given
from tests.serve_config import deployed

pytestmark = pytest.mark.fault(6)

HOUR_US = 3_600_000_000
FIRST = random_chunks(10, 60, seed=61)
SECOND = [shifted(chunk, 50_000) for chunk in random_chunks(10, 60, seed=62)]
BINS = 100


def _decided(daemon: Daemon, chunks: Sequence[EventChunk]) -> tuple[list[Decision], dict[str, int]]:
    with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
        with Hand(daemon.feed) as hand:
            hand.open()
            for chunk in chunks:
                for piece in split(chunk):
                    hand.send(piece)
            counters = hand.end(chunks[-1].t_end_us)
        return until_final(decisions), counters


def _corrupt(chunk: EventChunk) -> EventChunk:
    """One event an hour ahead."""
    return shifted(picked(chunk, np.arange(len(chunk)) == 7), HOUR_US)


@pytest.mark.parametrize("told", [False, True])
def test_one_corrupt_time_is_invalid_and_changes_nothing_else(
    daemon: Daemon, *, told: bool
) -> None:
    """Also where the driver takes it for the watermark."""
    corrupt = _corrupt(FIRST[4])
    corrupt = replace(corrupt, t_end_us=int(corrupt.t_us[0]) if told else int(FIRST[3].t_end_us))
    made, counters = _decided(daemon, [*FIRST[:4], corrupt, *FIRST[4:]])
    expected, plain = replayed(deployed(daemon.config), FIRST)
    assert [verdict(each) for each in made] == expected
    assert counters == plain | {"received": plain["received"] + 1, "invalid": 1}


def test_a_corrupt_time_within_a_message_does_not_take_its_neighbours_with_it(
    daemon: Daemon,
) -> None:
    chunk, corrupt = FIRST[4], _corrupt(FIRST[4])
    middle = np.arange(len(chunk)) < 30
    parts = [picked(chunk, middle), corrupt, picked(chunk, ~middle)]
    x, y, on = (np.concatenate(each) for each in zip(*map(columns, parts), strict=True))
    t_us = np.concatenate([part.t_us for part in parts])
    whole = EventChunk(t_us, chunk.t_end_us, x=x, y=y, on=on)
    made, counters = _decided(daemon, [*FIRST[:4], whole, *FIRST[5:]])
    expected, plain = replayed(deployed(daemon.config), FIRST)
    assert [verdict(each) for each in made] == expected
    assert counters == plain | {"received": plain["received"] + 1, "invalid": 1}


def _one_gap(made: Sequence[Decision], counters: dict[str, int]) -> None:
    """All is binned, and what lies between is left out."""
    assert (counters["jumps"], counters["gaps"]) == (1, 1)
    assert counters["binned"] == counters["received"] == sum(map(len, [*FIRST, *SECOND]))
    # The bins of both parts, and as many as the lateness and the first slice of silence reach.
    assert BINS <= counters["steps"] <= BINS + 60
    assert len(made) == counters["steps"] + 1
    times_us = [each.t_us for each in made[:-1]]
    leaps = [after - before for before, after in pairwise(times_us) if after - before > 1_000]
    assert len(leaps) == 1
    assert abs(leaps[0] - HOUR_US) < 100_000


def test_a_clock_set_an_hour_forward_is_one_gap_and_the_state_goes_on(daemon: Daemon) -> None:
    made, counters = _decided(daemon, [*FIRST, *(shifted(chunk, HOUR_US) for chunk in SECOND)])
    _one_gap(made, counters)
    # As if the hour had not been, but for the lateness: what it may still bring has its bins.
    deployment = deployed(daemon.config)
    later = [shifted(chunk, deployment.lateness_us) for chunk in SECOND]
    expected, _ = replayed(deployment, [*FIRST, *later])
    assert [each.scores for each in made[-40:]] == [list(each[3]) for each in expected[-40:]]


def test_a_recording_with_an_hour_of_nothing_is_published_without_stepping_it(
    daemon: Daemon,
) -> None:
    source = Given([*FIRST, *(shifted(chunk, HOUR_US) for chunk in SECOND)], GRID, name="hand")
    with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
        report = publish(source, daemon.feed)
        made = until_final(decisions)
    _one_gap(made, report.counters)
    assert report.messages < 100
