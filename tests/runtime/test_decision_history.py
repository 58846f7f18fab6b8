"""What a subscriber missed is in there, as far as there is room."""

from hypothesis import given
from hypothesis import strategies as st

from retempo.runtime.decision_history import DecisionHistory


def body(stream: str, epoch: int, sequence: int) -> bytes:
    return f"{stream} {epoch} {sequence}".encode()


def history(*runs: tuple[str, int, int], limit: int = 2**20) -> DecisionHistory:
    """The decisions 0 to n of each run."""
    made = DecisionHistory(limit)
    for stream, epoch, count in runs:
        for sequence in range(count):
            made.add(stream, epoch, sequence, body(stream, epoch, sequence))
    return made


def test_what_followed_a_decision_is_had_in_its_order_and_of_its_stream_alone() -> None:
    made = history(("a", 1, 3), ("b", 9, 5), ("a", 2, 2))
    followed = [body("a", 1, 2), body("a", 2, 0), body("a", 2, 1)]
    assert made.after("a", 1, 1, 10) == followed
    assert made.after("a", 1, 1, 2) == followed[:2]
    assert made.after("a", 2, 0, 10) == followed[2:]
    assert made.after("a", 2, 1, 10) == []
    assert made.after("nobody", 2, 1, 10) == []


def test_an_epoch_of_which_nothing_is_held_is_followed_by_all_that_is() -> None:
    made = history(("a", 1, 2), ("a", 2, 1))
    assert made.after("a", 7, 30, 10) == [body("a", 1, 0), body("a", 1, 1), body("a", 2, 0)]


def test_earlier_runs_do_not_follow_a_run_whose_beginning_is_all_there_is() -> None:
    made = history(("a", 1, 2), ("a", 2, 3))
    assert made.after("a", 2, -1, 10) == [body("a", 2, k) for k in range(3)]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 40)), max_size=80),
    st.integers(0, 3_000),
)
def test_the_latest_of_all_streams_are_held_within_the_bound(
    sizes: list[tuple[str, int]], limit: int
) -> None:
    made, entries = DecisionHistory(limit), []
    for sequence, (stream, size) in enumerate(sizes):
        entries.append((stream, 5, sequence, bytes(size)))
        made.add(*entries[-1])
        assert made.held_bytes <= limit
    saved = made.save()
    assert list(saved) == entries[len(entries) - len(saved) :]
    if len(saved) < len(entries):
        assert made.held_bytes + 200 + len(entries[-len(saved) - 1][3]) > limit
    other = DecisionHistory(limit)
    other.add("x", 1, 1, b"gone")
    other.load(saved)
    assert (other.save(), other.held_bytes) == (saved, made.held_bytes)
