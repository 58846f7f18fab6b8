"""A device as a source: its chunks in order, its end, its failure, its stop."""

import threading

import pytest

from retempo.sensors.errors import LiveError
from retempo.sensors.events import LiveSource, live_of
from retempo.sensors.filters.stage import Filtered
from retempo.sensors.live.stream import LiveStream
from retempo.sensors.simulated import SimulatedCamera, digit_image
from tests.sensors.live.arrivals import Played, came, silence

TIMEOUT_S = 30.0


def test_chunks_come_in_order_with_their_numbers_and_the_device_is_closed() -> None:
    device = Played([came(0, 1, 2), came(1, 3), came(2, 4, lost=2)])
    chunks = list(LiveStream(device))
    assert [chunk.t_us.tolist() for chunk in chunks] == [[1, 2], [3], [4]]
    assert [chunk.sequence for chunk in chunks] == [0, 1, 2]
    assert [chunk.lost for chunk in chunks] == [0, 0, 2]
    assert {chunk.stream for chunk in chunks} == {"played"}
    assert device.closed == 1


def test_a_device_that_goes_away_is_told_behind_its_last_events() -> None:
    device = Played([came(0, 1)], LiveError("played is gone"))
    chunks = iter(LiveStream(device))
    taken = next(chunks)
    with pytest.raises(LiveError, match="played is gone"):
        next(chunks)
    assert taken.t_us.tolist() == [1]
    assert device.closed == 1


def test_it_is_read_once() -> None:
    stream = LiveStream(Played([]))
    assert list(stream) == []
    with pytest.raises(LiveError, match="can be read once"):
        iter(stream)


def test_stop_ends_an_endless_device_behind_what_has_arrived() -> None:
    arrived = threading.Event()

    def wait(place: int) -> None:
        if place == 3:
            arrived.set()

    device = Played([came(0, 1), came(1, 2), came(2, 3), *[silence(3)] * 10**6], waits=wait)
    stream = LiveStream(device)
    chunks = iter(stream)
    first = next(chunks)
    assert arrived.wait(TIMEOUT_S)
    stream.stop()
    stream.stop()
    assert [first.t_us.tolist(), *(chunk.t_us.tolist() for chunk in chunks)][:3] == [[1], [2], [3]]
    assert device.closed == 1


def test_who_takes_no_more_closes_the_device() -> None:
    device = Played([came(0, 1), *[silence(3)] * 10**6])
    chunks = LiveStream(device).__iter__()
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert device.closed == 1


def test_one_that_was_never_read_is_closed_too() -> None:
    device = Played([])
    LiveStream(device).close()
    assert device.closed == 1


def test_a_live_source_is_known_behind_filters_and_a_recorded_one_is_not() -> None:
    stream = LiveStream(Played([]))
    assert isinstance(stream, LiveSource)
    assert live_of(Filtered(Filtered(stream, ()), ())) is stream
    assert live_of(Filtered(SimulatedCamera(digit_image(1)), ())) is None
    stream.close()
