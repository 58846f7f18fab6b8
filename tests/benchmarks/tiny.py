"""A plan that is done within seconds."""

from pathlib import Path

from benchmarks.adaptation.jobs import Change, Data
from benchmarks.adaptation.plan import Table, plan_table
from benchmarks.adaptation.settings import Places
from benchmarks.adaptation.studies.study import Study, in_order
from retempo.sensors.files import write_nmnist
from tests.builders import make_chunk

RECORDINGS = 8
DATA = Data("tiny", "nmnist-radlif.toml", "tiny", RECORDINGS, RECORDINGS, 50.0, 1)
TINY: tuple[Change, ...] = (
    ("network.hidden", (8,)),
    ("fit.epochs", 1),
    ("fit.batch", 4),
)


def tiny_places(root: Path) -> Places:
    """A data root with a few recordings of noise, and an empty folder for runs."""
    for split in ("train", "test"):
        folder = root / "tiny" / split
        folder.mkdir(parents=True)
        for index in range(RECORDINGS):
            chunk = make_chunk(60, 34, 34, 50_000, seed=index)
            write_nmnist(folder / f"{index}_{index % 2}.bin", chunk)
    return Places(root, root / "runs")


def tiny_table(changes: tuple[Change, ...] = TINY) -> Table:
    """One source, one target finer and one coarser."""
    return Table(
        DATA,
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
