"""What became of a published source."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What became of a published source: the daemon's counters, how much was sent, how long.

    `removed` counts by filter what the source took out before it was sent, `lost` the events that
    never reached this sender, `problems` by kind what was found wrong with its source (see
    `sensors.problems`). `shed` counts the events of a live source that were dropped because the
    daemon fell too far behind, `reopened` how often it was opened again, `forgotten` the messages
    that it then needed and this sender no longer held.
    """

    counters: dict[str, int]
    messages: int
    events: int
    seconds: float
    removed: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    problems: dict[str, int] = field(default_factory=dict)
    shed: int = 0
    reopened: int = 0
    forgotten: int = 0
