"""A load step that the engine cannot hold at 0.5 ms: coarsening against shedding and waiting."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from benchmarks.performance.cameras import Film, Report, film_of, pinned, play
from benchmarks.performance.elastic_picture import draw
from benchmarks.performance.results import Part, Ratio, Table
from retempo.demo.assets import load_model, load_recordings
from retempo.runtime.deployment import Deployment, deploy
from retempo.runtime.engines import load_engine
from retempo.runtime.overload import Overload, Policy

DT_US = 500
ALONE_S, LOADED_S = 4.0, 10.0
# What the load step must overrun the engine by at 0.5 ms.
OVERRUN = 1.4
POLICIES: tuple[Policy, ...] = ("block", "coarsen", "shed_oldest", "reset")
TEXT = """\
The demonstration's network, trained at 10 ms, steps at 0.5 ms by `lag` on the engine `onnx`, whose
step costs the same whatever happens. One camera plays recordings at the sensor's pace into the
daemon's own server (as in Streams, messages of 0.5 ms, one core). After {alone:g} s another
{others} cameras join, which is {overrun:g} times what the core holds at 0.5 ms ({alone_load:.0%} a
camera); after {loaded:g} s more they leave. A wait runs from the instant at which a bin's last
event was due to its decision. Recovered is when, after the load step, 95 of 100 decisions in a
window of 250 ms come within {behind:g} ms again; late again are later windows under the load that
do not. Accuracy is that of all recordings which began
while the load was on; beside it that of the same recordings on an idle machine, decided at 0.5 ms.
Bins lost are events shed; where a sender waits for credit nothing is lost but time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a policy makes of the load step."""

    accuracy: float
    idle_accuracy: float
    shed: int
    received: int
    switches: int
    recovered_s: float | None
    late_again: int
    p50_us: float
    p99_us: float
    last_us: float


def measure(folder: Path, data: Path, *, quick: bool = False) -> Part:
    """Measure every policy under the same load step."""
    del data
    model, recordings = load_model(), load_recordings()
    engine = load_engine(model, model.resolution(DT_US, "lag"), "onnx")
    ladder = {dt: model.resolution(dt, "lag") for dt in (500, 1_000, 2_000, 4_000, 8_000)}
    plain = replace(deploy(engine, every="bin"), ladder=ladder)
    plain.warm_up()
    films = [film_of(k, each, DT_US, plain.geometry) for k, each in enumerate(recordings)]
    unpin = pinned()
    try:
        idle = play(plain, [_alone(films)], plain.geometry)
        load = _load_of(plain, films)
        others = max(1, round(OVERRUN / load) - 1)
        right = _right(plain, films)
        outcomes, reports = {}, {}
        for policy in ("block", "coarsen") if quick else POLICIES:
            deployment = replace(plain, overload=Overload(policy))
            report = play(deployment, _schedules(films, others), plain.geometry)
            reports[policy] = report
            outcomes[policy] = _outcome(report, right)
    finally:
        unpin()
    rows = [_row("idle, one camera", _outcome(idle, right))]
    rows += [_row(policy, outcome) for policy, outcome in outcomes.items()]
    coarsen, block = outcomes["coarsen"], outcomes["block"]
    kept = (coarsen.accuracy + 1e-9) / (coarsen.idle_accuracy - 0.02)
    ratios = {
        "elastic, accuracy kept by coarsen (1 is 2 points less than idle)": Ratio(
            kept, kept, kept, 1.0
        ),
        "elastic, p99 wait of block to coarsen": Ratio(*[block.p99_us / coarsen.p99_us] * 3),
    }
    columns = [
        "policy", "right under load", "the same, idle", "events shed", "switches",
        "recovered after", "late again", "p50 wait, ms", "p99, ms", "last second's p99, ms",
    ]  # fmt: skip
    table = Table("Load step at 0.5 ms", columns, rows)
    text = TEXT.format(
        alone=ALONE_S,
        others=others,
        overrun=(others + 1) * load,
        alone_load=load,
        loaded=LOADED_S,
        behind=Overload().behind_us / 1e3,
    )
    pictures = []
    if not quick:
        points = {
            policy: (
                np.array(report.due_us) / 1e6,
                np.array(report.waits_us) / 1e3,
                np.array(report.dts_us) / 1e3,
            )
            for policy, report in reports.items()
        }
        span = (ALONE_S, ALONE_S + LOADED_S)
        pictures.append(draw(folder / "performance-elastic.png", points, span))
    return Part("Elastic resolution", text, [table], ratios, pictures)


def _alone(films: list[Film]) -> Iterator[tuple[float, Film]]:
    total_us = 0.0
    for film in films:
        if total_us > 3e6:
            return
        total_us += film.due_us[-1]
        yield 0.0, film


def _schedules(films: list[Film], others: int) -> list[Iterator[tuple[float, Film]]]:
    span_us = (ALONE_S + LOADED_S + ALONE_S) * 1e6

    def playing(camera: int, begin_us: float, end_us: float) -> Iterator[tuple[float, Film]]:
        at_us = begin_us
        for film in islice(cycle(films), 17 * camera % len(films), None):
            if at_us >= end_us:
                return
            yield at_us, film
            at_us += film.due_us[-1]

    loaded_us = ALONE_S * 1e6, (ALONE_S + LOADED_S) * 1e6
    return [playing(0, 0.0, span_us), *(playing(k + 1, *loaded_us) for k in range(others))]


def _load_of(deployment: Deployment, films: list[Film]) -> float:
    """Return the share of a core that one camera takes, from how fast its films are decided."""
    hurried = [replace(film, due_us=(0,) * len(film.due_us)) for film in films[:8]]
    bins = sum(film.due_us[-1] for film in films[:8]) / DT_US
    schedule = iter([(0.0, film) for film in hurried])
    report = play(deployment, [schedule], deployment.geometry)
    last_us = max(due + wait for due, wait in zip(report.due_us, report.waits_us, strict=True))
    return last_us / (bins * DT_US)


def _right(deployment: Deployment, films: list[Film]) -> dict[int, bool]:
    """Return which films an unhurried deployment decides rightly, by number."""
    right = {}
    for film in films:
        hurried = replace(film, due_us=(0,) * len(film.due_us))
        (shown,) = play(deployment, [iter([(0.0, hurried)])], deployment.geometry).shown
        right[film.number] = shown.decided == shown.label
    return right


def _outcome(report: Report, right: dict[int, bool]) -> Outcome:
    begin_us, end_us = ALONE_S * 1e6, (ALONE_S + LOADED_S) * 1e6
    loaded = [shown for shown in report.shown if begin_us <= shown.began_us < end_us]
    judged = loaded or report.shown
    recovered_s, late = _recovered(report, begin_us, end_us) if loaded else (0.0, 0)
    waits = report.waits(begin_us, end_us) if loaded else report.waits()
    last = report.waits(end_us - 1e6, end_us) if loaded else waits
    return Outcome(
        accuracy=float(np.mean([shown.decided == shown.label for shown in judged])),
        idle_accuracy=float(np.mean([right[shown.film] for shown in judged])),
        shed=sum(shown.counters["shed"] for shown in report.shown),
        received=sum(shown.counters["received"] for shown in report.shown),
        switches=sum(shown.counters["switches"] for shown in report.shown),
        recovered_s=recovered_s,
        late_again=late,
        p50_us=float(np.percentile(waits, 50)),
        p99_us=float(np.percentile(waits, 99)),
        last_us=float(np.percentile(last, 99)),
    )


def _recovered(report: Report, begin_us: float, end_us: float) -> tuple[float | None, int]:
    """Return how long after the load step decisions are in time, and how many windows are not."""
    step_us, limit_us = 250_000.0, float(Overload().behind_us)
    recovered_s, late = None, 0
    for at_us in np.arange(begin_us, end_us, step_us):
        waits = report.waits(at_us, at_us + step_us)
        in_time = len(waits) > 0 and np.percentile(waits, 95) <= limit_us
        if in_time and recovered_s is None:
            recovered_s = float(at_us - begin_us) / 1e6
        late += recovered_s is not None and not in_time
    return recovered_s, late


def _row(name: str, outcome: Outcome) -> list[str]:
    recovered = outcome.recovered_s
    return [
        name,
        f"{outcome.accuracy:.1%}",
        f"{outcome.idle_accuracy:.1%}",
        f"{outcome.shed:,} of {outcome.received:,}",
        f"{outcome.switches}",
        "not within the load" if recovered is None else f"{recovered:.2f} s",
        f"{outcome.late_again}",
        f"{outcome.p50_us / 1e3:.1f}",
        f"{outcome.p99_us / 1e3:.1f}",
        f"{outcome.last_us / 1e3:.1f}",
    ]
