"""The protocol's plain state: no socket, no clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.runtime.errors import FeedError
from retempo.runtime.feed import (
    Credit,
    Ended,
    Inbox,
    Refusal,
    Rejection,
    Reply,
    SendWindow,
    decode_reply,
    encode_reply,
)
from retempo.sensors.wire import Cursor, Message, decode, encode_message
from tests.runtime.stand_in import GRID, events


def message(sequence: int, sent: int = 0, lost: int = 0, size: int = 1) -> Message:
    at = Cursor("a", GRID, 1, sequence, sent, lost)
    return decode(encode_message("events", events(range(size)), at))  # type: ignore[arg-type]


def credit(acknowledged: int, window: int = 4) -> Credit:
    return Credit(1, "a", 1, acknowledged, window)


@pytest.mark.parametrize(
    "reply",
    [credit(-1), Refusal(1, "a", 2, "no"), Rejection(1, "odd"), Ended(1, "a", 3, {"binned": 4})],
)
def test_replies_come_back_as_they_were(reply: Reply) -> None:
    assert decode_reply(encode_reply(reply), "here") == reply


@given(st.binary(max_size=64))
def test_a_reply_of_something_else_is_a_feed_error(frame: bytes) -> None:
    with pytest.raises(FeedError, match="does not answer as a Retempo daemon does"):
        decode_reply(frame, "tcp://host:1")


def test_a_reply_of_another_version_says_so() -> None:
    with pytest.raises(FeedError, match="speaks version 2 of the feed, this sender 1"):
        decode_reply(encode_reply(Rejection(2, "")), "tcp://host:1")


def filled(window: SendWindow) -> list[int]:
    """Send while there is room; returns the sequences on the way."""
    while window.room:
        window.send()
    return list(range(window.acknowledged + 1, window.next_sequence))


def test_a_sender_has_at_most_a_window_on_the_way() -> None:
    window = SendWindow()
    assert filled(window) == []
    window.acknowledge(credit(-1))
    assert filled(window) == [0, 1, 2, 3]
    window.acknowledge(credit(1))
    assert window.in_flight == 2
    assert filled(window) == [2, 3, 4, 5]
    window.acknowledge(credit(2, window=2))
    assert filled(window) == [3, 4, 5]
    window.acknowledge(credit(1))
    assert filled(window) == [3, 4, 5, 6]


def test_over_a_new_connection_it_goes_on_where_the_daemon_stands() -> None:
    window = SendWindow()
    window.acknowledge(credit(-1, window=8))
    assert filled(window) == list(range(8))
    window.acknowledge(credit(5))
    window.resume(credit(2), oldest=1)
    assert filled(window) == [3, 4, 5, 6]
    # What waited at the daemon is stepped before it comes again.
    window.acknowledge(credit(7))
    assert (window.next_sequence, window.in_flight) == (8, 0)


def test_what_can_no_longer_be_sent_counts_as_acknowledged() -> None:
    window = SendWindow()
    window.acknowledge(credit(-1, window=8))
    filled(window)
    window.resume(credit(-1), oldest=6)
    assert filled(window) == [6, 7, 8, 9]


def test_an_acknowledgement_of_what_was_never_sent_is_an_error() -> None:
    window = SendWindow()
    with pytest.raises(FeedError, match="acknowledged message 0 of 'a', of which 0 were sent"):
        window.acknowledge(credit(0))


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["once", "twice", "never"]))))
def test_whatever_is_dropped_or_repeated_each_event_is_taken_once_or_counted_lost(
    fates: list[tuple[int, str]],
) -> None:
    inbox = Inbox.at(message(0))
    sent = taken = lost = 0
    for sequence, (size, fate) in enumerate([*fates, (0, "once")]):
        for _ in range({"once": 1, "twice": 2, "never": 0}[fate]):
            arrived = message(sequence, sent, 0, size)
            if not inbox.is_duplicate(arrived):
                lost += inbox.take(arrived)
                taken += size
        sent += size
    assert taken + lost == sent
    assert inbox.duplicates == sum(fate == "twice" for _, fate in fates)
    assert inbox.missing == sum(fate == "never" for _, fate in fates)


def test_what_the_sensor_lost_is_counted_once() -> None:
    inbox = Inbox.at(message(0, lost=3))
    assert inbox.take(message(0, sent=0, lost=5)) == 2
    assert inbox.take(message(1, sent=1, lost=5)) == 0


def test_a_message_that_comes_after_a_later_one_is_not_taken() -> None:
    inbox = Inbox.at(message(0))
    inbox.take(message(2, sent=2))
    assert inbox.is_duplicate(message(1, sent=1))
