"""A stream that changes its connection, its daemon or its run: no socket, a clock by hand."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from retempo.runtime.feed import Credit, Ended, Refusal, encode_reply
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import ChannelGeometry
from retempo.sensors.wire import Cursor, Frames, encode_message
from tests.runtime.feed_bench import ME, OTHER, Bench, control, opened
from tests.runtime.stand_in import GRID, events

GRACE_US = 10e6


def stepped(bench: Bench, at: Cursor, *pieces: EventChunk, owner: bytes = ME) -> Cursor:
    for piece in pieces:
        bench.receive(owner, encode_message("events", piece, at))
        at = at.after(piece)
    return at


def test_the_same_run_takes_over_before_its_old_connection_is_known_to_be_gone() -> None:
    bench, at = opened()
    behind = stepped(bench, at, events([10]))
    bench.take()
    bench.receive(OTHER, control("open", at))
    assert bench.take() == [(OTHER, Credit(1, "a", 1, 0, 8))]
    # What the old connection still brings is not taken, and it may say that it is there.
    bench.receive(ME, encode_message("events", events([20]), behind))
    refusal = Refusal(1, "a", 1, "the stream is fed by another sender", again=True)
    assert bench.take() == [(ME, refusal)]
    stepped(bench, behind, events([20]), owner=OTHER)
    bench.server.close()
    assert bench.server.report.counters.received == 2
    assert (bench.server.report.resumed, bench.server.report.duplicates) == (1, 0)


def test_another_run_is_told_that_it_cannot_have_the_name() -> None:
    bench, at = opened()
    bench.receive(OTHER, encode_message("events", events([1]), replace(at, epoch=2)))
    (_, refusal) = bench.take()[-1]
    assert isinstance(refusal, Refusal)
    assert not refusal.again


def test_a_run_cannot_come_back_with_another_sensor() -> None:
    bench, at = opened()
    bench.receive(OTHER, control("open", replace(at, geometry=ChannelGeometry(4))))
    assert bench.take() == [
        (OTHER, Refusal(1, "a", 1, "it was opened as 8x6x2, now it is 4 channels"))
    ]


def test_a_stream_waits_for_its_sender_and_goes_on_as_if_nothing_had_been() -> None:
    bench, at = opened()
    behind = stepped(bench, at, events([10], 1_000))
    bench.delivery[ME] = "gone"
    bench.now_us = 1e6
    bench.server.sweep()
    bench.now_us = 0.9 * GRACE_US
    bench.receive(OTHER, control("open", behind))
    bench.now_us = 5 * GRACE_US
    bench.server.sweep()
    stepped(bench, behind, events([1_010], 2_000), owner=OTHER)
    assert [(d.epoch, d.sequence, d.final) for d in bench.decisions] == [
        (1, 0, False),
        (1, 1, False),
    ]


def test_a_sender_that_comes_back_after_the_grace_begins_another_run_behind_what_was_stepped() -> (
    None
):
    bench, at = opened()
    behind = stepped(bench, at, events([10], 1_000))
    bench.delivery[ME] = "gone"
    for bench.now_us in (1e6, 1e6 + GRACE_US):
        bench.server.sweep()
    assert bench.decisions[-1].final
    # It has not heard that its message was stepped, so it still holds it.
    bench.receive(OTHER, control("open", at))
    assert bench.take()[-1] == (OTHER, Credit(1, "a", 1, 0, 8))
    stepped(bench, at, events([10], 1_000), events([1_010], 2_000), owner=OTHER)
    bench.receive(OTHER, control("end", behind.after(events([1_010]))))
    ended = bench.take()[-1][1]
    assert isinstance(ended, Ended)
    assert (ended.counters["received"], ended.counters["lost"]) == (1, 0)
    assert bench.server.report.counters.received == 2
    first, *_, last = bench.decisions
    assert (first.epoch, last.sequence) == (1, 1)
    assert last.epoch not in (0, 1)


def test_a_daemon_that_knows_nothing_of_an_epoch_begins_at_what_is_still_held() -> None:
    bench, at = Bench(), Cursor("a", GRID, 7, sequence=40, sent=100, lost=3)
    bench.receive(ME, control("open", at))
    assert bench.take() == [(ME, Credit(1, "a", 7, 39, 8))]
    at = stepped(bench, at, events([10]), events([20], 1_000))
    bench.receive(ME, control("end", at))
    ended = bench.take()[-1][1]
    assert isinstance(ended, Ended)
    assert (ended.counters["received"], ended.counters["lost"]) == (2, 0)
    # Another daemon may have decided in that epoch: these decisions are of another run.
    assert {d.epoch for d in bench.decisions} == {bench.decisions[0].epoch}
    assert bench.decisions[0].epoch not in (0, 7)
    assert [d.sequence for d in bench.decisions] == [0, 1]


def test_a_sender_that_has_not_heard_of_its_end_is_told_again() -> None:
    bench, at = opened()
    at = stepped(bench, at, events([10]))
    bench.receive(ME, control("end", at))
    (ended,) = [reply for _, reply in bench.take() if isinstance(reply, Ended)]
    bench.receive(OTHER, control("open", at))
    assert bench.take() == [(OTHER, ended)]
    assert bench.server.report.streams == 1


def test_credit_says_what_a_checkpoint_holds_and_nothing_of_it_where_there_are_none() -> None:
    assert b"durable" not in encode_reply(Credit(1, "a", 1, 4, 8))
    bench = Bench()
    bench.server.keeps_checkpoints = True
    at = Cursor("a", GRID, 1)
    bench.receive(ME, control("open", at))
    at = stepped(bench, at, events([10]), events([20]))
    assert [reply for _, reply in bench.take()] == [
        Credit(1, "a", 1, -1, 8, -1),
        Credit(1, "a", 1, 1, 8, -1),
    ]
    bench.server._streams["a"].durable = 0
    bench.now_us = 1e6
    bench.server.sweep()
    assert bench.take() == [(ME, Credit(1, "a", 1, 1, 8, 0))]


def test_a_restored_stream_waits_for_its_sender() -> None:
    bench, at = opened()
    behind = stepped(bench, at, events([10], 1_000))
    restored = bench.server._streams["a"]
    restored.owner, restored.durable = b"", 0
    bench.take()
    bench.now_us = 1e6
    bench.server.sweep()
    bench.server.acknowledge()
    assert bench.take() == []
    bench.receive(OTHER, control("open", at))
    assert bench.take() == [(OTHER, Credit(1, "a", 1, 0, 8, 0))]
    stepped(bench, behind, events([1_010], 2_000), owner=OTHER)
    assert [(d.epoch, d.sequence) for d in bench.decisions] == [(1, 0), (1, 1)]


def test_the_clocks_are_told_when_a_stream_closes() -> None:
    bench, at = opened()
    for number in range(1, 4):
        bench.now_us = 5e6 + number * 1_000_100
        at = stepped(bench, at, events([], number * 1_000_000))
    clock = bench.server._streams["a"].clock
    assert clock.offset_us == 5e6 + 300
    assert clock.drift_ppm is not None
    assert abs(clock.drift_ppm - 100) < 1e-6
    bench.server.close()
    assert '"offset_us":5000300.0,"drift_ppm":100.' in bench.log.getvalue()


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from(["cut", "stale", "twice", ""])), max_size=40
    )
)
def test_whatever_is_cut_repeated_or_stale_each_event_is_binned_once(
    faults: list[tuple[int, str]],
) -> None:
    """A sender that resends from its credit, over connections of which old ones still talk."""
    pieces = [events([k * 100], k * 100) for k in range(12)]
    cursors = [Cursor("a", GRID, 1)]
    for piece in pieces:
        cursors.append(cursors[-1].after(piece))
    messages: list[Frames] = [
        encode_message("events", piece, at) for piece, at in zip(pieces, cursors, strict=False)
    ]
    bench, owner, place = Bench(), b"0", 0

    def connect() -> int:
        bench.receive(owner, control("open", cursors[place]))
        credit = bench.take()[-1][1]
        assert isinstance(credit, Credit)
        return credit.acknowledged + 1

    place = connect()
    for number, (where, fault) in enumerate(faults, 1):
        if fault == "cut":
            owner = str(number).encode()
            place = connect()
        elif fault == "stale":
            bench.receive(b"stale", messages[where % 12])
        elif fault == "twice" and place:
            bench.receive(owner, messages[where % place])
        if place < 12:
            bench.receive(owner, messages[place])
            place += 1
    for message in messages[place:]:
        bench.receive(owner, message)
    bench.receive(owner, control("end", cursors[-1]))
    ended = bench.take()[-1][1]
    assert isinstance(ended, Ended)
    assert ended.counters["received"] == ended.counters["binned"] == 12
    assert ended.counters["lost"] == 0
