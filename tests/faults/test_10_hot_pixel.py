"""Fault 10: one hot pixel at 1 Mev/s: masked or capped; the other pixels are unaffected."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retempo.runtime.subscriber import Decisions
from retempo.sensors.events import EventChunk
from tests.daemons import TIMEOUT_S, serving
from tests.faults.rig import Hand, columns, picked, random_chunks, replayed, until_final, verdict
from tests.serve_config import deployed, write_config

pytestmark = pytest.mark.fault(10)

HOT = (17, 5)


def _with_hot_pixel(chunk: EventChunk) -> EventChunk:
    """Add an event of the hot pixel each microsecond."""
    x, y, on = columns(chunk)
    t_us = np.arange(chunk.t_end_us - 5_000, chunk.t_end_us, dtype=np.int64)
    times = np.concatenate((chunk.t_us, t_us))
    order = np.argsort(times, kind="stable")
    more = np.ones(len(t_us), np.uint16)
    return replace(
        chunk,
        t_us=times[order],
        x=np.concatenate((x, more * HOT[0]))[order].astype(np.uint16),
        y=np.concatenate((y, more * HOT[1]))[order].astype(np.uint16),
        on=np.concatenate((on, np.ones(len(t_us), np.bool_)))[order],
    )


def _without(chunk: EventChunk) -> EventChunk:
    x, y, _ = columns(chunk)
    return picked(chunk, (x != HOT[0]) | (y != HOT[1]))


@pytest.mark.parametrize(
    "tables",
    [
        f"[input]\nmask = [[{HOT[0]}, {HOT[1]}]]",
        f'[[input.filter]]\nkind = "hot-pixels"\npixels = [[{HOT[0]}, {HOT[1]}]]',
    ],
    ids=["mask", "filter"],
)
def test_the_other_pixels_decide_as_if_it_were_not_there(tmp_path: Path, tables: str) -> None:
    config = write_config(tmp_path, tables)
    quiet = random_chunks(10, 40, seed=11)
    with serving(config) as daemon:
        with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
            with Hand(daemon.feed) as hand:
                hand.open()
                for chunk in quiet:
                    hand.send(_with_hot_pixel(chunk))
                counters = hand.end(quiet[-1].t_end_us)
            live = [verdict(each) for each in until_final(decisions)]
        daemon.stop()
    expected, _ = replayed(deployed(config), map(_without, quiet))
    assert live == expected
    assert counters["masked"] >= 50_000
    assert counters["received"] == 50_000 + sum(map(len, quiet))


def test_a_hot_pixel_is_found_and_taken_out_while_it_fires(tmp_path: Path) -> None:
    """Learned over 10 ms: from then on no event of it is binned, and no other is touched."""
    config = write_config(tmp_path, '[[input.filter]]\nkind = "hot-pixels"\nlearn = "10ms"')
    quiet = random_chunks(20, 40, seed=12)
    with serving(config) as daemon:
        with Hand(daemon.feed) as hand:
            hand.open()
            for chunk in quiet:
                hand.send(_with_hot_pixel(chunk))
            counters = hand.end(quiet[-1].t_end_us)
        daemon.stop()
    own = sum(int(len(chunk) - len(_without(chunk))) for chunk in quiet)
    assert counters["masked"] == 90_000 + own - sum(
        int(len(chunk) - len(_without(chunk))) for chunk in quiet[:2]
    )
    assert counters["binned"] + counters["masked"] == counters["received"]
