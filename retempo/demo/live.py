"""What the demonstration shows while it streams."""

from collections import deque

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from retempo.runtime.decision import Decision

_RATE_WINDOW_US = 50_000
_BAR_CELLS = 30


class LiveView:
    """The current stream's event rate, decision and latencies, from its decisions alone."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._right = 0
        self._decision: Decision | None = None
        self._counts: deque[tuple[int, int]] = deque()
        self._steps_us: deque[float] = deque(maxlen=500)
        self._latencies_us: deque[float] = deque(maxlen=500)

    def take(self, decision: Decision, expected: str) -> None:
        """Take the next decision of the daemon."""
        if self._decision is None or decision.stream != self._decision.stream:
            self._counts.clear()
        self._decision = decision
        self._counts.append((decision.t_us, decision.counters["received"]))
        while self._counts[-1][0] - self._counts[0][0] > _RATE_WINDOW_US:
            self._counts.popleft()
        self._steps_us.append(decision.step_us)
        self._latencies_us.append(decision.latency_us)
        if decision.final:
            self._done += 1
            self._right += decision.label == expected

    def __rich__(self) -> RenderableType:
        """Draw what is known now."""
        head = Text(f"{self._title}  ", style="bold")
        head.append(f"{self._done} of {self._total} recordings, {self._right} right", style="cyan")
        if self._decision is None:
            return Group(head, Text("waiting for the first event ..."))
        grid = Table.grid(padding=(0, 2))
        grid.add_row("stream", self._decision.stream)
        grid.add_row("event time", f"{self._decision.t_us / 1e3:7.1f} ms")
        grid.add_row("event rate", f"{self._rate_hz() / 1e3:7.1f} k events/s")
        grid.add_row("step", f"{np.median(self._steps_us):7.0f} us a bin (median)")
        grid.add_row("latency", f"{np.median(self._latencies_us):7.0f} us from arrival to decision")
        grid.add_row("decision", self._bar(self._decision))
        return Group(head, grid)

    def _rate_hz(self) -> float:
        (first_us, first), (last_us, last) = self._counts[0], self._counts[-1]
        return (last - first) / max(1e-6 * (last_us - first_us), 1e-3)

    def _bar(self, decision: Decision) -> Text:
        score = max(decision.scores)
        full = round(score * _BAR_CELLS)
        bar = Text(f"{decision.label}  ", style="bold green")
        bar.append("█" * full, style="green")
        bar.append("░" * (_BAR_CELLS - full), style="bright_black")
        bar.append(f" {score:.2f}")
        return bar
