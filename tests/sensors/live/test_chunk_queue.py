"""The bounded queue of a live source: what it drops is counted, what it keeps is in order."""

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retempo.sensors.events import EventChunk
from retempo.sensors.live.chunk_queue import ChunkQueue

TIMEOUT_S = 30.0


def chunk(t_end_us: int, size: int, lost: int = 0, **problems: int) -> EventChunk:
    address = np.zeros(size, np.uint16)
    t_us = np.full(size, t_end_us, np.int64)
    on = np.zeros(size, np.bool_)
    return EventChunk(t_us, t_end_us, address, address, on, lost=lost, problems=problems)


def never() -> bool:
    return False


def drained(queue: ChunkQueue) -> list[EventChunk]:
    chunks = []
    while (taken := queue.get(0.0)) is not None:
        chunks.append(taken)
    return chunks


def test_silence_that_waits_is_one_chunk_with_all_counts() -> None:
    queue = ChunkQueue("shed_oldest")
    for end in (1, 2, 3):
        queue.put(chunk(end, 0, lost=1, overflow=1), never)
    (only,) = drained(queue)
    assert (only.t_end_us, only.lost, dict(only.problems)) == (3, 3, {"overflow": 3})


def test_the_oldest_is_shed_and_counted_where_the_next_one_is() -> None:
    queue = ChunkQueue("shed_oldest", most_events=10)
    for end in range(5):
        queue.put(chunk(end, 4, lost=1), never)
    kept = drained(queue)
    assert [each.t_end_us for each in kept] == [3, 4]
    assert kept[0].lost == 3 * 4 + 4
    assert dict(kept[0].problems) == {"shed": 12}
    assert (kept[1].lost, dict(kept[1].problems)) == (1, {})


def test_a_chunk_larger_than_the_queue_is_kept_whole() -> None:
    queue = ChunkQueue("shed_oldest", most_events=10)
    queue.put(chunk(0, 99), never)
    assert [len(each) for each in drained(queue)] == [99]


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3)), max_size=40), st.integers(1, 20))
def test_every_event_is_handed_on_or_counted_as_lost(
    sizes: list[tuple[int, int]], most: int
) -> None:
    queue = ChunkQueue("shed_oldest", most_events=most)
    for end, (size, lost) in enumerate(sizes):
        queue.put(chunk(end, size, lost=lost), never)
    kept = drained(queue)
    assert sum(size for size, _ in sizes) + sum(lost for _, lost in sizes) == sum(
        len(each) + each.lost for each in kept
    )
    assert sum(len(each) for each in kept) <= max(most, max((s for s, _ in sizes), default=0))
    assert [each.t_end_us for each in kept] == sorted(each.t_end_us for each in kept)


def test_a_full_queue_that_blocks_waits_for_its_reader_and_loses_nothing() -> None:
    queue = ChunkQueue("block", most_events=4)
    ends = list(range(50))

    def fill() -> None:
        for end in ends:
            queue.put(chunk(end, 3), never)

    thread = threading.Thread(target=fill)
    thread.start()
    taken: list[EventChunk] = []
    while len(taken) < len(ends):
        each = queue.get(TIMEOUT_S)
        assert each is not None
        taken.append(each)
    thread.join(TIMEOUT_S)
    assert [each.t_end_us for each in taken] == ends
    assert sum(each.lost for each in taken) == 0


def test_who_waits_for_room_is_let_go_when_it_stops() -> None:
    queue = ChunkQueue("block", most_events=1)
    queue.put(chunk(0, 1), never)
    stopping = threading.Event()
    thread = threading.Thread(target=queue.put, args=(chunk(1, 1), stopping.is_set))
    thread.start()
    stopping.set()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    assert [each.t_end_us for each in drained(queue)] == [0, 1]
