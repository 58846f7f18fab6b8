"""Signals that end a live source, and what they leave of a recorded one."""

import signal
import threading

import pytest

from retempo.runtime.interrupt import ended_by_signals
from retempo.sensors.filters.stage import Filtered
from retempo.sensors.live.stream import LiveStream
from retempo.sensors.simulated import SimulatedCamera, digit_image
from tests.sensors.live.arrivals import Played, came, silence


def endless() -> LiveStream:
    return LiveStream(Played([came(0, 1), *[silence(1.0)] * 10**6]))


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_the_source_behind_what_has_arrived(kind: signal.Signals) -> None:
    before = signal.getsignal(kind)
    source = Filtered(endless(), ())
    with ended_by_signals(source) as ending:
        chunks = iter(source)
        assert next(chunks).t_us.tolist() == [1]
        asked = [ending.asked]
        signal.raise_signal(kind)
        assert list(chunks) == []
    assert [*asked, ending.asked] == [False, True]
    assert signal.getsignal(kind) is before


def test_the_second_signal_does_its_usual_work() -> None:
    source = endless()
    with ended_by_signals(source):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    source.close()


def test_a_recorded_source_is_left_to_the_signals_usual_work() -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        ended_by_signals(SimulatedCamera(digit_image(1))),
    ):
        signal.raise_signal(signal.SIGINT)


def test_outside_the_main_thread_nothing_is_taken() -> None:
    before = signal.getsignal(signal.SIGINT)
    source = endless()

    def enter() -> None:
        with ended_by_signals(source):
            seen.append(signal.getsignal(signal.SIGINT))

    seen: list[object] = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
    source.close()
