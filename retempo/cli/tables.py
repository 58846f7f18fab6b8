"""Tables for a terminal."""

from collections.abc import Sequence

from retempo.runtime.units import format_duration
from retempo.training.evaluation import Accuracy


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
