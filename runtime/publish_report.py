"""What became of a published source."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from retempo.sensors.events import EventChunk, Source


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What became of a published source: the daemon's counters, how much was sent, how long.

    `lost` counts the events that never reached this sender, `problems` by kind what was found wrong
    with its source (see `sensors.problems`).
    """

    counters: dict[str, int]
    messages: int
    events: int
    seconds: float
    lost: int = 0
    problems: dict[str, int] = field(default_factory=dict)


def noting(source: Source, problems: dict[str, int]) -> Iterator[EventChunk]:
    """Hand a source's chunks on and sum up their problems: cutting them leaves these out."""
    for chunk in source:
        for kind, count in chunk.problems.items():
            problems[kind] = problems.get(kind, 0) + count
        yield chunk
