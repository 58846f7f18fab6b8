"""What adapting a network of 2x512 costs, against training one at the target."""

from collections.abc import Iterator

from benchmarks.adaptation.jobs import Adapt, Planned, Train
from benchmarks.adaptation.plan import AUTO, DATA, EULER, INTEGRAL
from benchmarks.adaptation.studies.study import Study

SOURCE_US = 10_000
TARGETS_US = (1_000, 3_183, 20_000)
HIDDEN = (512, 512)
# Enough for the time of an epoch; the page multiplies it by the epochs of the preset.
EPOCHS = 2


def plan(quick: bool) -> Iterator[Planned]:
    """Yield a short training of a large network at each time step, and the timed adaptations."""
    del quick
    changes = (("network.hidden", HIDDEN), ("fit.epochs", EPOCHS))
    for data in (DATA["fsdd"], DATA["nmnist"]):
        train = Train(data, "radlif", SOURCE_US, 0, "2x512-timed", changes)
        yield Planned(train, 3)
        for dt_us in TARGETS_US:
            for way in (EULER, INTEGRAL, AUTO):
                yield Planned(Adapt(train, dt_us, way), 3)


STUDY = Study(
    "adapting-cost",
    "What adapting costs",
    "How long does it take to adapt a network of 2x512, and how long to train it?",
    plan,
)
