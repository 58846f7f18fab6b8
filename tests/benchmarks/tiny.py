"""A plan that is done within seconds."""

from dataclasses import replace

from benchmarks.adaptation.jobs import Change
from benchmarks.adaptation.plan import DATA, Table, plan_table
from benchmarks.adaptation.studies.study import Study, in_order

TINY: tuple[Change, ...] = (
    ("data.limit", 40),
    ("network.hidden", (8,)),
    ("fit.epochs", 1),
    ("fit.batch", 20),
)


def tiny_table(changes: tuple[Change, ...] = TINY) -> Table:
    """One source, two targets finer and coarser, on forty simulated recordings."""
    return Table(
        replace(DATA["simulated"], train_recordings=40, test_recordings=40),
        neurons=("radlif",),
        sources=((10_000, (0,), 0),),
        whole=(2.0,),
        broken=(),
        extreme=(),
        native_seeds=(0,),
        changes=changes,
    )


def tiny_study(table: Table) -> Study:
    return Study(
        "tiny", "Tiny", "Does it run?", lambda _: iter(in_order(plan_table(table))), lambda _: table
    )
