"""Tables for a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retempo.runtime.units import format_duration
from retempo.training.evaluation import Accuracy

if TYPE_CHECKING:
    from retempo.training.then_adapt import Comparison  # needs torch


def accuracy_table(results: Sequence[Accuracy], source_dt_us: int) -> str:
    """Return accuracies in percent as text: a row a method, a column a time step."""
    dts_us = list(dict.fromkeys(r.dt_us for r in results))
    methods = list(dict.fromkeys(r.method for r in results))
    cells = {(r.method, r.dt_us): "-" if r.reason else f"{r.percent:.1f}" for r in results}
    heads = [format_duration(dt_us) + ("*" if dt_us == source_dt_us else "") for dt_us in dts_us]
    width = max(11, *(len(method) + 1 for method in methods))
    lines = [f"{'method':<{width}}" + "".join(f"{head:>9}" for head in heads)]
    for method in methods:
        row = "".join(f"{cells[method, dt_us]:>9}" for dt_us in dts_us)
        lines.append(f"{method:<{width}}{row}")
    notes = [f"accuracy in % on {results[0].total} recordings"]
    if any(dt_us == source_dt_us for dt_us in dts_us):
        notes.append("* the time step of training")
    if "-" in cells.values():
        notes.append("- the method does not fit this time step")
    return "\n".join([*lines, "; ".join(notes)])


def comparison_table(comparison: "Comparison") -> str:
    """Return the ways to a network at the target time step as text, a row a way."""
    lines = ["              trained at  stepped at  accuracy  wall time"]
    for way in (comparison.home, comparison.adapted, comparison.native):
        adapting = f" + {way.adapting_s * 1e3:.0f} ms" if way.adapting_s else ""
        lines.append(
            f"{way.name:<14}{format_duration(way.trained_dt_us):>10}"
            f"{format_duration(way.stepped_dt_us):>12}{way.accuracy:>8.1f} %"
            f"{way.training_s:>9.1f} s{adapting}"
        )
    lines.append(
        f"accuracy on {comparison.test_recordings} test recordings; adapted by "
        f"{comparison.method}, {comparison.times_faster:.1f} times as fast as training there"
    )
    return "\n".join(lines)
