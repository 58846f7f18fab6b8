"""What a study is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.adaptation.jobs import Planned
from benchmarks.adaptation.plan import Table

# Far from what the presets reach, enough to see the methods apart.
QUICK_EPOCHS = 20


@dataclass(frozen=True, slots=True)
class Study:
    """A question, the jobs that answer it, and the page that shows the answer.

    `plan(quick)` yields the jobs. `table(quick)` is the table of sources and targets of a study
    that is one, None of a small study. With `folds` the variants of a small study are parts of one
    and are averaged; with `show_seconds` its page tells the time of each way; with
    `panel_a_method` its picture has a panel a method, for ways named `method, what with it`.
    `paper` is what arXiv 2411.04760 reports on the same data.
    """

    name: str
    title: str
    question: str
    plan: Callable[[bool], Iterator[Planned]]
    table: Callable[[bool], Table] | None = None
    folds: bool = False
    show_seconds: bool = False
    panel_a_method: bool = False
    paper: str = ""


def in_order(jobs: Iterator[Planned]) -> list[Planned]:
    """Return jobs once each, at the earliest stage that asks for them."""
    earliest: dict[object, Planned] = {}
    for planned in jobs:
        known = earliest.get(planned.job)
        if known is None or planned.stage < known.stage:
            earliest[planned.job] = planned
    return list(earliest.values())


def jobs_of(studies: Sequence[Study], *, quick: bool) -> list[Planned]:
    """Return the jobs of several studies, those that they share once."""
    return in_order(planned for study in studies for planned in study.plan(quick))
