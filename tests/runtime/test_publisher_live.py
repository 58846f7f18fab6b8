"""What a publisher sends of a live source, message by message."""

from typing import Any

import pytest

from retempo.runtime.errors import FeedError
from retempo.runtime.feed import Ended
from retempo.runtime.publisher import publish
from retempo.sensors.errors import LiveError
from retempo.sensors.events import Clock
from retempo.sensors.live.stream import LiveStream
from retempo.sensors.wire import Message
from tests.runtime.test_publisher import credit, scripted_daemon
from tests.sensors.live.arrivals import Played, came, silence


def generous(message: Message) -> list[Any]:
    if message.kind == "end":
        return [Ended(1, message.stream, message.epoch, {"steps": 0})]
    return [credit(message, message.sequence - (message.kind == "open"), 64)]


@pytest.mark.parametrize("clock", ["sensor", "host"])
def test_the_messages_tell_whose_clock_it_is_what_was_lost_and_the_silence(clock: Clock) -> None:
    device = Played([came(0, 10, 20), came(1, 30, lost=4), silence(2, 5_000)])
    device.clock = clock
    with scripted_daemon(generous) as (endpoint, received, _):
        report = publish(LiveStream(device), endpoint)
    messages = [message for message, _ in received]
    assert {message.clock for message in messages} == {clock}
    assert messages[0].kind == "open"
    assert messages[-1].kind == "end"
    assert [message.chunk.t_end_us for message in messages[-2:]] == [5_000, 5_000]
    assert messages[-1].lost == report.lost == 4
    assert report.events == 3


def test_a_device_that_goes_away_has_its_end_sent_first() -> None:
    device = Played([came(0, 10, 20)], LiveError("it is gone"))
    with (
        scripted_daemon(generous) as (endpoint, received, _),
        pytest.raises(LiveError, match="it is gone"),
    ):
        publish(LiveStream(device), endpoint)
    last = received[-1][0]
    assert (last.kind, last.sent, last.chunk.t_end_us) == ("end", 2, 20)


def test_a_speed_is_refused_before_anything_is_sent_and_the_device_let_go() -> None:
    device = Played([came(0, 10)])
    with (
        scripted_daemon(generous) as (endpoint, received, _),
        pytest.raises(FeedError, match="played is live and has a pace of its own, got the speed 2"),
    ):
        publish(LiveStream(device), endpoint, speed=2.0)
    assert received == []
    assert (device.reads, device.closed) == (0, 1)


def test_a_daemon_that_is_not_there_lets_the_device_go() -> None:
    device = Played([came(0, 10)])
    with pytest.raises(FeedError, match="no daemon answers"):
        publish(LiveStream(device), "ipc:///tmp/retempo-nobody-here", timeout_s=0.1)
    assert device.closed == 1
