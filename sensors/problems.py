"""What a decoder finds wrong with its input, counted by kind, and what is to follow from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

# skip: drop what is bad and go on; stop: end before the first problem; raise: an error at it.
Policy = Literal["skip", "stop", "raise"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

# How an error ends that a policy could pass over.
MEND = (
    "copy or record it again, or keep what is good with --policy skip (drop and count it) or "
    "--policy stop (end there)"
)

# Every kind that a decoder may count, and what it means to a person.
KINDS: dict[str, str] = {
    "outside": "events at addresses that the sensor does not have",
    "truncated": "bytes at the end that are no whole event",
    "damaged": "parts that cannot be decoded",
    "line": "lines of text that are no event",
    "time": "rows whose time is no number or beyond 63 bits of microseconds",
    "address": "rows whose address is no whole number from 0 to 65535",
    "polarity": "events whose polarity is neither on nor off",
    "malformed": "datagrams of a length that the layout does not allow",
    "no_timestamp": "events without a timestamp where the sensor's clock was asked for",
    "ignored_time": "timestamps that were not asked for, so that arrival counts instead",
    "overflow": "packets dropped before they were read; each held an unknown number of events",
    "shed": "events dropped by the full queue of a live source, the oldest first",
    "restarted": "clocks that began anew, so that time goes on from where it stood",
    "leap": "events at times that the clock cannot have reached",
    "time_back": "times that go back (EVT)",
    "time_hole": "jumps of a clock that ticks, where events are likely to be missing (EVT3)",
    "untimed": "events whose time is not known (EVT)",
    "unknown": "words of a type that nobody has defined (EVT)",
    "no_row": "events before the first row (EVT3)",
    "no_base": "events of vectors without a base (EVT3)",
    "partial_vector": "groups of a camera's vector words that are not whole; they are kept (EVT3)",
    "partial_continued": "groups of continued words that are not whole (EVT3)",
    "overrun": "samples of a microphone that were lost; silence stands in for them",
}


@dataclass(frozen=True, slots=True)
class Problems:
    """What was wrong in one piece of input.

    `counts` maps kinds (see `KINDS`) to how often. The first problem is of kind `kind`, `text` says
    in words where it lies and what is wrong, and `kept` counts the events that the same piece holds
    from before it.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    kind: str = ""
    text: str = ""
    kept: int = 0

    def __bool__(self) -> bool:
        return bool(self.counts)

    def first(self) -> "Problems":
        """The first problem alone."""
        return Problems({self.kind: 1}, self.kind, self.text, self.kept)


NO_PROBLEMS = Problems()


def problem(kind: str, text: str, kept: int, count: int = 1) -> Problems:
    """Return a problem of one kind; see `Problems`."""
    return Problems({kind: count}, kind, text, kept)


def total(several: list[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of counts by kind."""
    counts: dict[str, int] = {}
    for each in several:
        for kind, count in each.items():
            counts[kind] = counts.get(kind, 0) + count
    return counts


def both(before: Problems, after: Problems, events_before: int = 0) -> Problems:
    """Return the problems of two pieces that become one.

    Args:
        before: those of the first piece.
        after: those of the second piece, or others of the same one.
        events_before: how many events of the joined piece lie before the second; 0 where both
            speak of the same piece, whose first problem is then the one with fewer events kept.
    """
    if not before or not after:
        only = before or after
        kept = only.kept + (0 if before else events_before)
        return Problems(only.counts, only.kind, only.text, kept) if only else NO_PROBLEMS
    first = before if before.kept <= after.kept + events_before else after
    kept = min(before.kept, after.kept + events_before)
    return Problems(total([before.counts, after.counts]), first.kind, first.text, kept)
