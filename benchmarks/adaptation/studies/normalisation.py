"""How the statistics of the sensor-fed layer are moved to another time step."""

from collections.abc import Iterator

from benchmarks.adaptation.jobs import Change, Evaluate, Planned, Train, Way
from benchmarks.adaptation.plan import DATA, NONE
from benchmarks.adaptation.studies.study import QUICK_EPOCHS, Study

SOURCE_US = 10_000
TARGETS_US = (1_000, 2_000, 5_000, 20_000, 40_000)
RULES = ("none", "paper", "independent", "matched", "measured")
METHODS = ("none", "integral", "auto")


def plan(quick: bool) -> Iterator[Planned]:
    """Yield every method under every rule, on networks that the tables train anyway."""
    changes: tuple[Change, ...] = (("fit.epochs", QUICK_EPOCHS),) if quick else ()
    for data in (DATA["fsdd"], DATA["nmnist"]):
        for seed in (0,) if quick else (0, 1, 2):
            train = Train(data, "radlif", SOURCE_US, seed, "", changes)
            yield Planned(train, 3)
            yield Planned(Evaluate(train, SOURCE_US, NONE), 3)
            for dt_us in TARGETS_US:
                for method in METHODS:
                    for rule in RULES:
                        way = Way(f"{method}, norm {rule}", method, normalisation=rule)
                        yield Planned(Evaluate(train, dt_us, way), 3)


STUDY = Study(
    "normalisation",
    "Normalisation rules",
    "Which rule moves the statistics of the first layer best, and how much of the accuracy is its?",
    plan,
    panel_a_method=True,
)
