"""Fault 3: an address outside the sensor, a polarity not 0 or 1: that event alone is dropped."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retempo.runtime.subscriber import Decisions
from tests.daemons import TIMEOUT_S, Daemon, serving
from tests.faults.rig import (
    Hand,
    columns,
    picked,
    random_chunks,
    replayed,
    shifted,
    until_final,
    verdict,
)
from tests.serve_config import deployed, write_config

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


@pytest.mark.parametrize("filters", ["", "[[input.filter]]\nkind = 'polarity'\nkeep = 'on'\n"])
def test_an_event_whose_polarity_is_neither_changes_nothing_but_the_count(
    tmp_path: Path, filters: str
) -> None:
    """With few events in a message and with many, binned from the bytes and behind a filter."""
    config = write_config(tmp_path, filters)
    many = [shifted(chunk, 30_000) for chunk in random_chunks(3, 2_000, seed=32)]
    chunks = [*random_chunks(6, 40, seed=31), *many]
    rng = np.random.default_rng(2)
    kept, expected_invalid = [], 0
    with serving(config) as own:
        with Decisions(own.decisions, timeout_s=TIMEOUT_S) as decisions:
            with Hand(own.feed) as hand:
                hand.open()
                for chunk in chunks:
                    bad = rng.random(len(chunk)) < 0.1
                    header, payload = hand.message(chunk)
                    broken = np.frombuffer(bytes(payload), np.uint8).copy()
                    broken[6 * len(chunk) :][bad] = rng.integers(2, 256, int(bad.sum()))
                    hand.raw([header, bytes(broken)])
                    kept.append(picked(chunk, ~bad))
                    expected_invalid += int(bad.sum())
                counters = hand.end(chunks[-1].t_end_us)
            live = [verdict(each) for each in until_final(decisions)]
        log = own.stop()
    expected, _ = replayed(deployed(config), kept)
    assert live == expected
    assert counters["invalid"] == expected_invalid > 0
    assert (counters["received"], counters["lost"]) == (6 * 40 + 3 * 2_000, 0)
    (totals,) = [line for line in log if line["event"] == "totals"]
    assert totals["malformed"] == 0
