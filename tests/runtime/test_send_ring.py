"""What a sender keeps: any order of sending, acknowledging and forgetting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.runtime.send_ring import OVERHEAD_BYTES, Kept, SendRing
from retempo.sensors.wire import Cursor
from tests.runtime.stand_in import GRID


def kept(sequence: int, size: int = 0) -> Kept:
    return Kept(Cursor("a", GRID, 1, sequence), [b"header", bytes(size)])


def filled(messages: int, limit: int) -> SendRing:
    """A ring with room for `limit` empty messages, in which `messages` are."""
    ring = SendRing(limit * OVERHEAD_BYTES)
    for sequence in range(messages):
        assert ring.make_room(OVERHEAD_BYTES)
        ring.add(kept(sequence))
    return ring


def held(ring: SendRing, messages: int) -> list[int]:
    return [sequence for sequence in range(messages) if ring.holds(sequence)]


def test_what_is_not_acknowledged_is_never_forgotten() -> None:
    ring = filled(3, limit=3)
    assert not ring.make_room(OVERHEAD_BYTES)
    assert (held(ring, 3), ring.forgotten) == ([0, 1, 2], 0)


def test_what_is_acknowledged_goes_where_the_room_is_needed_and_is_counted() -> None:
    ring = filled(3, limit=3)
    ring.settle(acknowledged=1, durable=-1)
    assert held(ring, 3) == [0, 1, 2]
    assert ring.make_room(OVERHEAD_BYTES)
    assert (held(ring, 3), ring.forgotten) == ([1, 2], 1)


def test_what_is_durable_goes_uncounted() -> None:
    ring = filled(3, limit=3)
    ring.settle(acknowledged=1, durable=0)
    assert (held(ring, 3), ring.forgotten) == ([1, 2], 0)


def test_one_message_always_has_room_however_large() -> None:
    ring = SendRing(limit_bytes=10)
    assert ring.make_room(1_000_000)
    ring.add(kept(0, 1_000_000))
    assert not ring.make_room(1)


@pytest.mark.parametrize("acknowledged", [0, 2])
def test_after_a_restart_what_is_acknowledged_may_fall_back(acknowledged: int) -> None:
    ring = filled(4, limit=4)
    ring.settle(acknowledged=3, durable=-1)
    ring.settle(acknowledged=acknowledged, durable=-1)
    assert ring.make_room(OVERHEAD_BYTES)
    assert ring.make_room((acknowledged + 1) * OVERHEAD_BYTES)
    assert not ring.make_room((acknowledged + 2) * OVERHEAD_BYTES)


@given(
    st.integers(0, 8_000),
    st.lists(st.tuples(st.sampled_from(["add", "settle"]), st.integers(0, 3_000)), max_size=60),
)
def test_whatever_comes_the_bounds_hold(limit: int, actions: list[tuple[str, int]]) -> None:
    ring, sizes, durable = SendRing(limit), list[int](), -1
    for action, number in actions:
        if action == "settle":
            acknowledged = min(number % 9 + ring.acknowledged, len(sizes) - 1)
            durable = max(durable, min(number % 5 + durable, acknowledged))
            ring.settle(acknowledged, durable)
        elif ring.make_room(kept(0, number).size):
            ring.add(kept(len(sizes), number))
            sizes.append(kept(0, number).size)
        have = held(ring, len(sizes))
        assert have == list(range(len(sizes) - len(have), len(sizes)))
        assert ring.held_bytes == sum(sizes[sequence] for sequence in have)
        assert ring.held_bytes <= limit or len(have) == 1
        # All but what is acknowledged, and none that is durable.
        assert set(range(ring.acknowledged + 1, len(sizes))) <= set(have)
        assert not have or have[0] > durable
        gone = len(sizes) - len(have)
        assert 0 <= ring.forgotten <= gone
        assert ring.forgotten >= gone - (durable + 1)
        if have:
            assert ring.get(have[-1]).at.sequence == have[-1]
            assert ring.oldest is not None
            assert ring.oldest.sequence == have[0]
