"""Fault 12: silence for 10 minutes is stepped, and a step takes no longer for it (denormals)."""

import time
from pathlib import Path

import numpy as np
import pytest

from retempo.demo.assets import MODEL
from retempo.exporters.step_model import load_step
from retempo.runtime.engines import load_engine
from retempo.runtime.subscriber import Decisions
from retempo.sensors.pieces import no_events
from tests.daemons import TIMEOUT_S, serving
from tests.faults.rig import GRID, Hand, random_chunks, until_final
from tests.serve_config import write_config

pytestmark = pytest.mark.fault(12)

SECONDS = 600


def test_ten_minutes_of_silence_are_stepped_bin_by_bin(tmp_path: Path) -> None:
    """By the sensor's clock; the host's has no say in it."""
    (spoken,) = random_chunks(1, 200, seed=13)
    end_us = SECONDS * 1_000_000
    # A decision a bin would be more than a subscriber's queue holds.
    config = write_config(tmp_path, decisions_keys='every = "1s"')
    with serving(config) as daemon:
        with Decisions(daemon.decisions, timeout_s=TIMEOUT_S) as decisions:
            with Hand(daemon.feed) as hand:
                hand.open()
                hand.send(spoken)
                for k in range(1, 61):
                    hand.send(no_events(GRID, k * end_us // 60))
                counters = hand.end(end_us)
            made = until_final(decisions)
        daemon.stop()
    assert counters["steps"] == SECONDS * 1_000
    assert counters["gaps"] == 0
    assert [each.t_us for each in made] == [*range(1_000_000, end_us + 1, 1_000_000), end_us]
    assert all(np.isfinite(each.scores).all() for each in made)


@pytest.mark.parametrize("name", ["onnx", "sparse"])
def test_values_that_decay_to_nothing_cost_no_more_than_others(name: str) -> None:
    """Denormal numbers would make a step many times as slow: they must not appear."""
    model = load_step(MODEL)
    engine = load_engine(model, model.resolution(1_000), name)
    state = engine.new_state()
    state.x[:] = 0.0
    state.x[0, ::7] = 1.0
    for _ in range(20):
        engine.step(state)
    state.x[:] = 0.0

    def fastest_of(rounds: int) -> float:
        best = np.inf
        for _ in range(rounds):
            began = time.perf_counter_ns()
            for _ in range(50):
                engine.step(state)
            best = min(best, (time.perf_counter_ns() - began) / 50)
        return best

    early = fastest_of(20)
    for _ in range(20_000):
        engine.step(state)
    tiny = np.finfo(np.float32).tiny
    for array in engine.save_state(state).values():
        assert not ((array != 0.0) & (np.abs(array) < tiny)).any()
    # Denormals cost a factor of ten and more; twice is noise of a shared machine.
    assert fastest_of(20) < 2.0 * early + 2_000
