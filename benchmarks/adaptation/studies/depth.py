"""One, two and three hidden layers."""

from collections.abc import Iterator

from benchmarks.adaptation.jobs import Change, Evaluate, Planned, Train
from benchmarks.adaptation.plan import AUTO, DATA, INTEGRAL, NONE
from benchmarks.adaptation.studies.study import QUICK_EPOCHS, Study

SOURCE_US = 10_000
TARGETS_US = (1_000, 2_000, 5_000, 20_000, 40_000)
LAYERS = (1, 2, 3)
WIDTH = 128


def plan(quick: bool) -> Iterator[Planned]:
    """Yield a network a depth; that of two layers is the preset's own."""
    epochs: tuple[Change, ...] = (("fit.epochs", QUICK_EPOCHS),) if quick else ()
    for data in (DATA["fsdd"], DATA["nmnist"]):
        for layers in LAYERS:
            hidden: Change = ("network.hidden", (WIDTH,) * layers)
            changes = epochs if layers == 2 else (hidden, *epochs)
            variant = "" if layers == 2 else f"{layers}x{WIDTH}"
            train = Train(data, "radlif", SOURCE_US, 0, variant, changes)
            yield Planned(train, 3)
            yield Planned(Evaluate(train, SOURCE_US, NONE), 3)
            for dt_us in TARGETS_US:
                for way in (NONE, INTEGRAL, AUTO):
                    yield Planned(Evaluate(train, dt_us, way), 3)


STUDY = Study(
    "depth",
    "One, two and three hidden layers",
    "Does the error of an adaptation grow with the depth of the network?",
    plan,
)
