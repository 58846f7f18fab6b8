"""What is measured: the data sets, the ways, and the table of sources and targets of a data set.

A source is a network trained at one time step. It is tested at every target, `ratio` times its
step. From fine to coarse the input itself loses information, so the fair bound is a network
trained at the target: these `native` networks are shared between the sources.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.adaptation.jobs import Change, Data, Evaluate, Planned, Train, Way

# Sizes are for the time estimate alone.
DATA = {
    data.name: data
    for data in (
        Data("fsdd", "fsdd-radlif.toml", "fsdd", 2_700, 180, 430.0, 30, heard=True),
        Data("nmnist", "nmnist-radlif.toml", "nmnist", 1_000, 100, 306.0, 80),
        Data("simulated", "simulated-digits.toml", None, 1_397, 400, 100.0, 80),
        # The paper's own, where tonic can fetch them.
        Data("shd", "shd-radlif.toml", "shd", 8_156, 2_264, 700.0, 30, (("data.download", True),)),
        Data(
            "nmnist-full",
            "nmnist-radlif.toml",
            "nmnist-full",
            60_000,
            10_000,
            306.0,
            10,
            (("data.kind", "nmnist"), ("data.download", True)),
        ),
    )
}

NONE = Way("none", "none")
NORM_ONLY = Way("none, norm adapted", "none", normalisation="paper")
TAU, EULER, INTEGRAL, EXPECTATION, IMPULSE, AUTO = (
    Way(name, name) for name in ("tau", "euler", "integral", "expectation", "impulse", "auto")
)
# `auto` is `lag` below the source's step and `substep` above it, so neither is measured twice.
ALL_WAYS = (NONE, NORM_ONLY, TAU, EULER, INTEGRAL, EXPECTATION, IMPULSE, AUTO)
FEW_WAYS = (NONE, INTEGRAL, AUTO)

WHOLE = (2.0, 3.0, 4.0, 10.0)
BROKEN = (1.5, 2.5, math.pi)
EXTREME = (20.0, 50.0, 100.0)

# A native network at a finer step than this is trained with one seed: it is the costliest.
COARSE_US = 8_000
# Steps of one evaluation, all test recordings together. More is left out and said so.
MOST_STEPS = 12_000_000


@dataclass(frozen=True, slots=True)
class Table:
    """Sources by targets on one data set.

    `sources` holds a time step, seeds, and the stage in which they are measured.
    """

    data: Data
    neurons: tuple[str, ...] = ("radlif", "adlif")
    sources: tuple[tuple[int, tuple[int, ...], int], ...] = (
        (10_000, (0, 1, 2), 0),
        (4_000, (0, 1, 2), 2),
        (2_000, (0,), 4),
        (1_000, (0,), 6),
        (2_000, (1, 2), 7),
    )
    whole: tuple[float, ...] = WHOLE
    broken: tuple[float, ...] = BROKEN
    extreme: tuple[float, ...] = EXTREME
    native_seeds: tuple[int, ...] = (0, 1, 2)
    other_neurons: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def source_steps_us(self) -> list[int]:
        """The time steps of the sources, the coarsest first."""
        return sorted({source_us for source_us, _, _ in self.sources}, reverse=True)


def target_us(source_us: int, ratio: float) -> int:
    """Return the target time step, in whole microseconds."""
    return max(1, round(source_us * ratio))


def targets(table: Table, source_us: int) -> Iterator[tuple[int, tuple[Way, ...]]]:
    """Yield each target of a source and the ways that are measured there."""
    # The 10 ms source shows where each method breaks; of finer ones only those that may not.
    full = source_us >= COARSE_US
    yield source_us, (NONE,)
    for ratio in table.whole:
        for dt_us in (target_us(source_us, 1.0 / ratio), target_us(source_us, ratio)):
            yield dt_us, ALL_WAYS
    for ratio in (*table.broken, *table.extreme):
        for dt_us in (target_us(source_us, 1.0 / ratio), target_us(source_us, ratio)):
            yield dt_us, ALL_WAYS if full else FEW_WAYS


def native_targets(table: Table) -> list[int]:
    """Return the coarser time steps at which networks are trained as a bound."""
    found = {target_us(source, ratio) for source in table.source_steps_us for ratio in table.whole}
    return sorted(found, reverse=True)


def plan_table(table: Table) -> Iterator[Planned]:
    """Yield every job of a table."""
    for neuron in table.neurons:
        for source_us, seeds, stage in table.sources:
            for seed in seeds:
                yield from _source(table, neuron, source_us, seed, stage)
        for dt_us in native_targets(table):
            coarse = dt_us >= COARSE_US
            for seed in table.native_seeds if coarse else table.native_seeds[:1]:
                train = Train(table.data, neuron, dt_us, seed, changes=table.changes)
                stage = 1 if coarse else 5
                yield Planned(train, stage)
                yield Planned(Evaluate(train, dt_us, NONE), stage)
    for neuron in table.other_neurons:
        yield from _source(table, neuron, table.sources[0][0], 0, 5)


def _source(table: Table, neuron: str, source_us: int, seed: int, stage: int) -> Iterator[Planned]:
    train = Train(table.data, neuron, source_us, seed, changes=table.changes)
    yield Planned(train, stage)
    for dt_us, ways in targets(table, source_us):
        if not too_many_steps(table.data, dt_us):
            for way in ways:
                yield Planned(Evaluate(train, dt_us, way), stage)


def too_many_steps(data: Data, dt_us: int) -> bool:
    """Whether a target is left out, since its evaluation alone would take too long."""
    return data.test_recordings * data.recording_ms * 1e3 / dt_us > MOST_STEPS


def left_out(table: Table) -> list[tuple[int, int]]:
    """Return each source and target that the budget of steps leaves out."""
    return [
        (source_us, dt_us)
        for source_us in table.source_steps_us
        for dt_us, _ in targets(table, source_us)
        if too_many_steps(table.data, dt_us)
    ]
