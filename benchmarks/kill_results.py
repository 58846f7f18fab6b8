"""What came of killing a daemon again and again."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Result:
    """What came of all kills; times in seconds."""

    kills: int = 0
    mid_checkpoint: int = 0
    differing: int = 0
    repeated: int = 0
    decisions: int = 0
    sent_again: int = 0
    ready_s: list[float] = field(default_factory=list)
    resumed_s: list[float] = field(default_factory=list)
    answered_s: list[float] = field(default_factory=list)


def table(result: Result) -> str:
    """Return what came of it in Markdown."""
    lines = ["| measure | value |", "|---|---|"]
    for name, value in (
        ("kills", result.kills),
        ("of them in the midst of writing a checkpoint", result.mid_checkpoint),
        ("runs whose decisions differ", result.differing),
        ("decisions received twice", result.repeated),
        ("decisions compared", result.decisions),
        ("messages sent again", result.sent_again),
    ):
        lines.append(f"| {name} | {value:,} |")
    for name, times in (
        ("process started to listening", result.ready_s),
        ("process started to first decision", result.resumed_s),
        ("listening to first decision", result.answered_s),
    ):
        if times:
            p50, p99 = np.percentile(times, [50, 99])
            lines.append(f"| {name}, p50 / p99 | {p50:.3f} s / {p99:.3f} s |")
    return "\n".join(lines)
