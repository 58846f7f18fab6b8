"""How far a benchmark is: a bar on a terminal, a line a job elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

# Elsewhere than on a terminal a line an evaluation would drown what is worth reading.
_LINE_EVERY = 25


class Watcher(Protocol):
    """Hears of every job that ended."""

    def __call__(self, done: int, total: int, left_s: float, name: str) -> None:
        """Hear how many of how many have ended, how long the rest may take, and the last's name."""
        ...


@contextmanager
def progress(total: int) -> Iterator[Watcher]:
    """Show progress on stderr."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]} left  {task.description}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("the workers start", total=total, left="?")

        def show(done: int, total: int, left_s: float, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name, left=duration(left_s))

        yield show


def duration(seconds: float) -> str:
    """Return `2 h 05 min`, `3 min` or `20 s`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def _line(done: int, total: int, left_s: float, name: str) -> None:
    trained = "--" not in name
    if trained or done == total or done % _LINE_EVERY == 0:
        print(f"{done}/{total}  about {duration(left_s)} left  {name}", file=sys.stderr, flush=True)
