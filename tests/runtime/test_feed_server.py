"""Which streams are open and what becomes of each message: no socket, a clock by hand."""

import math
from dataclasses import replace

import pytest

from retempo.runtime.feed import CREDIT_US, Credit, Ended, Refusal, Rejection
from retempo.sensors.geometry import ChannelGeometry, Geometry
from retempo.sensors.wire import Cursor, encode_message
from retempo.sensors.wire_header import Kind
from tests.runtime.feed_bench import ME, OTHER, Bench, control, opened
from tests.runtime.stand_in import GRID, events


def test_a_message_is_acknowledged_after_it_was_stepped() -> None:
    bench, at = opened()
    bench.receive(ME, encode_message("events", events([10, 20], 1_000), at))
    assert len(bench.decisions) == 1
    assert bench.take() == []
    bench.server.acknowledge()
    assert bench.take() == [(ME, Credit(1, "a", 1, 0, 8))]
    bench.server.acknowledge()
    assert bench.take() == []


def test_credit_does_not_wait_for_the_whole_window() -> None:
    bench, at = opened()
    for _ in range(2):
        piece = events([10])
        bench.receive(ME, encode_message("events", piece, at))
        at = at.after(piece)
    assert bench.take() == [(ME, Credit(1, "a", 1, 1, 8))]


def test_the_end_steps_what_is_open_and_answers_with_the_counters() -> None:
    bench, at = opened()
    piece = events([10, 20, 3_500], 3_500)
    bench.receive(ME, encode_message("events", piece, at))
    bench.receive(ME, control("end", at.after(piece), 3_500))
    assert [d.final for d in bench.decisions] == [False, False, False, True]
    ((owner, ended),) = bench.take()
    assert isinstance(ended, Ended)
    assert (owner, ended.counters["received"], ended.counters["binned"]) == (ME, 3, 3)


def test_messages_missing_before_the_end_are_counted_with_their_events() -> None:
    bench, at = opened()
    first, gone = events([10]), events([20, 30, 40])
    bench.receive(ME, encode_message("events", first, at))
    bench.receive(ME, control("end", at.after(first).after(gone)))
    ended = bench.take()[-1][1]
    assert isinstance(ended, Ended)
    assert (ended.counters["received"], ended.counters["lost"]) == (1, 3)
    assert bench.server.report.missing == 1
    assert "gap" in bench.logged()


def test_the_events_of_a_malformed_message_are_counted_as_lost() -> None:
    bench, at = opened()
    broken, good = events([10, 20, 30]), events([40])
    header, payload = encode_message("events", broken, at)
    bench.receive(ME, [header, bytes(payload)[:-1]])
    reason = "the header counts 3 events of 7 bytes, the payload has 20 bytes"
    assert bench.take() == [(ME, Rejection(1, reason))]
    bench.receive(ME, encode_message("events", good, at.after(broken)))
    bench.server.close()
    counters = bench.server.report.counters
    assert (counters.received, counters.lost) == (1, 3)


def test_an_event_of_an_impossible_polarity_is_received_and_invalid() -> None:
    """The message behind it finds nothing missing: `sent` counts such an event as any other."""
    bench, at = opened()
    broken, good = events([10, 20, 30]), events([40])
    header, payload = encode_message("events", broken, at)
    bench.receive(ME, [header, bytes(payload)[:-1] + b"\2"])
    bench.receive(ME, encode_message("events", good, at.after(broken)))
    bench.server.close()
    report = bench.server.report
    assert (report.counters.received, report.counters.binned) == (4, 3)
    assert (report.counters.invalid, report.counters.lost, report.malformed) == (1, 0, 0)


def test_a_duplicate_is_counted_and_acknowledged_again_but_not_binned() -> None:
    bench, at = opened()
    frames = encode_message("events", events([10, 20]), at)
    for _ in range(2):
        bench.receive(ME, frames)
    bench.server.acknowledge()
    bench.receive(ME, control("end", at.after(events([10, 20]))))
    replies = [reply for _, reply in bench.take()]
    assert replies[0] == Credit(1, "a", 1, 0, 8)
    assert isinstance(replies[-1], Ended)
    assert replies[-1].counters["received"] == 2
    assert bench.server.report.duplicates == 1


def test_a_second_sender_of_one_name_is_refused_and_the_first_goes_on() -> None:
    bench, at = opened()
    bench.receive(OTHER, control("open", Cursor("a", GRID, 2)))
    assert bench.take()[-1] == (
        OTHER,
        Refusal(1, "a", 2, "another sender feeds a stream of this name"),
    )
    bench.receive(OTHER, encode_message("events", events([1]), at))
    assert isinstance(bench.take()[-1][1], Refusal)
    bench.receive(ME, encode_message("events", events([10], 1_000), at))
    assert len(bench.decisions) == 1


def test_a_name_is_free_again_once_its_sender_is_gone() -> None:
    bench, at = opened()
    bench.receive(ME, encode_message("events", events([10]), at))
    bench.delivery[ME] = "gone"
    bench.receive(OTHER, control("open", Cursor("a", GRID, 2)))
    assert bench.take()[-1] == (OTHER, Credit(1, "a", 2, -1, 8))
    assert [d.final for d in bench.decisions] == [True]
    assert "stream_abandoned" in bench.logged()


def test_the_same_run_over_a_new_connection_goes_on_where_it_stood() -> None:
    bench, at = opened()
    first = events([10])
    bench.receive(ME, encode_message("events", first, at))
    bench.delivery[ME] = "gone"
    bench.receive(OTHER, control("open", at))
    assert bench.take()[-1] == (OTHER, Credit(1, "a", 1, 0, 8))
    bench.receive(OTHER, encode_message("events", first, at))
    bench.receive(OTHER, encode_message("events", events([1_500]), at.after(first)))
    bench.server.close()
    assert bench.server.report.counters.received == 2
    assert bench.server.report.duplicates == 1


def test_a_sender_that_starts_anew_on_its_connection_gets_a_new_stream() -> None:
    bench, at = opened()
    bench.receive(ME, encode_message("events", events([10]), at))
    bench.receive(ME, control("open", Cursor("a", GRID, 2)))
    assert bench.take()[-1] == (ME, Credit(1, "a", 2, -1, 8))
    assert [d.final for d in bench.decisions] == [True]


def test_a_stream_is_finished_when_its_sender_is_gone() -> None:
    bench, at = opened()
    bench.receive(ME, encode_message("events", events([10]), at))
    bench.delivery[ME] = "gone"
    bench.server.sweep()
    assert bench.decisions == []
    bench.now_us = 1e6
    bench.server.sweep()
    assert bench.logged()[-1] == "sender_gone"
    bench.now_us = 10.9e6
    bench.server.sweep()
    assert bench.decisions == []
    bench.now_us = 12e6
    bench.server.sweep()
    assert [d.final for d in bench.decisions] == [True]


def test_the_watermark_of_the_end_is_stepped_whether_events_were_lost_or_not() -> None:
    for sent in (1, 6):
        bench, at = opened()
        first = events([0])
        bench.receive(ME, encode_message("events", first, at))
        at = replace(at.after(first), sent=sent)
        bench.receive(ME, control("end", at, t_end_us=50_000))
        (ended,) = [reply for _, reply in bench.take() if isinstance(reply, Ended)]
        assert ended.counters["lost"] == sent - 1
        assert bench.decisions[-2].t_us == 50_000


def test_what_a_full_peer_was_to_be_told_is_told_later() -> None:
    bench, at = opened()
    bench.receive(ME, encode_message("events", events([10]), at))
    bench.delivery[ME] = "full"
    bench.server.acknowledge()
    bench.delivery[ME] = "sent"
    bench.take()
    bench.server.acknowledge()
    assert bench.take() == []
    bench.now_us += CREDIT_US
    bench.server.acknowledge()
    assert bench.take() == [(ME, Credit(1, "a", 1, 0, 8))]


def test_credits_go_out_together_once_in_a_while_and_at_once_after_a_rest() -> None:
    bench, at = opened()
    assert bench.server.owes_in_us() == math.inf
    bench.take()
    for k, (now_us, told) in enumerate([(9e6, 0), (9e6 + 10, None), (9e6 + CREDIT_US, 2)]):
        bench.now_us = now_us
        piece = events([10 + k])
        bench.receive(ME, encode_message("events", piece, at))
        at = at.after(piece)
        bench.server.acknowledge()
        assert bench.take() == ([] if told is None else [(ME, Credit(1, "a", 1, told, 8))])
        rest_us = CREDIT_US - 10.0 if told is None else math.inf
        assert bench.server.owes_in_us() == rest_us


def test_a_stream_that_fails_is_closed_with_the_reason_and_the_others_go_on() -> None:
    bench, at = opened()
    bad = Cursor("bad", GRID, 9)
    bench.receive(OTHER, control("open", bad))
    bench.receive(OTHER, encode_message("events", events([1]), bad))
    refusal = Refusal(1, "bad", 9, "ValueError: this stream is bad")
    assert bench.take()[-1] == (OTHER, refusal)
    bench.receive(ME, encode_message("events", events([10], 1_000), at))
    assert len(bench.decisions) == 1
    assert bench.server.report.failed == 1


def test_a_stream_that_fails_over_a_full_window_takes_nobody_with_it() -> None:
    bench, at = opened()
    bad = Cursor("bad", GRID, 9)
    bench.receive(OTHER, control("open", bad))
    for _ in range(9):  # one more than the window: what waits is stepped to make room
        piece = events([1])
        bench.server.receive(OTHER, encode_message("events", piece, bad))
        bad = bad.after(piece)
    assert bench.server.report.failed == 1
    bench.receive(ME, encode_message("events", events([10], 1_000), at))
    assert len(bench.decisions) == 1


@pytest.mark.parametrize("kind", ["events", "end"])
def test_a_stream_that_is_not_open_is_refused(kind: Kind) -> None:
    bench = Bench()
    bench.receive(ME, control(kind, Cursor("a", GRID, 1)))
    refusal = Refusal(1, "a", 1, "the stream is not open; send open first", again=True)
    assert bench.take() == [(ME, refusal)]


@pytest.mark.parametrize("geometry", [ChannelGeometry(3), ChannelGeometry(60_000)])
def test_a_sensor_that_does_not_fit_the_model_is_refused(geometry: Geometry) -> None:
    bench = Bench()
    bench.receive(ME, control("open", Cursor("a", geometry, 1)))
    ((_, refusal),) = bench.take()
    assert isinstance(refusal, Refusal)
    assert "expects 8x6x2" in refusal.reason


def test_a_stream_cannot_change_its_sensor() -> None:
    bench, at = opened()
    changed = Cursor("a", ChannelGeometry(9), at.epoch)
    bench.receive(ME, control("events", changed))
    assert bench.take() == [
        (ME, Rejection(1, "'a' was opened as 8x6x2, a message says 9 channels"))
    ]
    assert bench.server.report.malformed == 1


def test_the_number_of_streams_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retempo.runtime.opening.MAX_STREAMS", 1)
    bench, _ = opened()
    bench.receive(ME, control("open", Cursor("b", GRID, 1)))
    assert bench.take() == [(ME, Refusal(1, "b", 1, "1 streams are open, and that is the most"))]


def test_closing_finishes_every_stream_and_tells_its_sender() -> None:
    bench, at = opened()
    bench.receive(ME, encode_message("events", events([10]), at))
    bench.server.close()
    assert [d.final for d in bench.decisions] == [True]
    assert bench.take()[-1] == (ME, Refusal(1, "a", 1, "the daemon is shutting down", again=True))
    assert bench.server.report.counters.received == 1
