"""What came of broken messages against a live daemon, and what of it should not be."""

import os
import platform
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zmq

GROWTH_MB = 32.0


@dataclass
class Results:
    """What was sent, and what the daemon said of it at its end."""

    sent: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    raw: int = 0
    good_messages: int = 0
    good_runs: int = 0
    decisions: int = 0
    differing: int = 0
    before_mb: float = 0.0
    after_mb: float = 0.0
    seconds: float = 0.0
    exit_code: int = 0
    totals: dict[str, Any] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """How many of the broken messages changed nothing."""
        return sum(int(self.totals[key]) for key in ("malformed", "refused", "duplicates"))

    @property
    def findings(self) -> list[str]:
        """What should not be."""
        expected = sum(self.sent.values()) + self.good_messages
        checks = {
            f"exit code {self.exit_code}": self.exit_code == 0,
            f"{self.differing} good runs decided otherwise": self.differing == 0,
            "no good run ended beside the fuzz": self.good_runs > 0,
            f"{self.totals['messages']} messages counted, {expected} sent": (
                self.totals["messages"] == expected
            ),
            f"{self.totals['failed']} streams failed": self.totals["failed"] == 0,
            f"{self.totals['unaccounted']} streams lost count": self.totals["unaccounted"] == 0,
            f"{self.totals['door']['handshake_failures']} of {self.raw} raw connections counted": (
                self.totals["door"]["handshake_failures"] == self.raw
            ),
            f"memory grew by {self.after_mb - self.before_mb:.0f} MiB": (
                self.after_mb - self.before_mb < GROWTH_MB
            ),
        }
        return [text for text, holds in checks.items() if not holds]


def page(results: Results, command: str) -> str:
    """Return the results as a page."""
    totals = results.totals
    rows = {f"sent: {name}": number for name, number in sorted(results.sent.items())}
    rows |= {
        "frames sent": results.frames,
        "messages that the daemon counted": totals["messages"],
        "rejected as malformed": totals["malformed"],
        "refused, of a stream that is not open": totals["refused"],
        "duplicates": totals["duplicates"],
        "events counted as invalid": totals["counters"]["invalid"],
        "raw connections": results.raw,
        "of those counted as failed handshakes": totals["door"]["handshake_failures"],
        "good runs beside it": results.good_runs,
        "their decisions": results.decisions,
        "good runs decided otherwise": results.differing,
    }
    made = (
        f"Python {platform.python_version()}, numpy {np.__version__}, libzmq {zmq.zmq_version()}, "
        f"{os.cpu_count()} cores; {results.seconds:,.0f} s."
    )
    lines = [
        "# Broken messages against a live daemon",
        "",
        f"    {command}",
        "",
        made,
        "",
        "| what | count |",
        "|---|---|",
        *(f"| {name} | {number:,} |" for name, number in rows.items()),
        f"| resident memory before, MiB | {results.before_mb:,.1f} |",
        f"| resident memory after, MiB | {results.after_mb:,.1f} |",
        "",
        *(f"Not as it should be: {finding}." for finding in results.findings),
    ]
    return "\n".join(lines).rstrip()
