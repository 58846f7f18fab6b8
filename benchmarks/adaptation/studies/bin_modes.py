"""Bin modes, under parameter adaptation and as input adaptation, with accuracy and time."""

from collections.abc import Iterator

from benchmarks.adaptation.jobs import Change, Evaluate, Planned, Train, Way
from benchmarks.adaptation.plan import AUTO, DATA, INTEGRAL, NONE
from benchmarks.adaptation.studies.study import QUICK_EPOCHS, Study

MODES = ("sum", "binary", "max", "mean")
SOURCE_US = 10_000
FINER_US, COARSER_US = (1_000, 2_000, 5_000), (20_000, 40_000)
# Input adaptation keeps the network at its own step and changes what it is fed.
TO_FINER_STEPS = ("repeat", "pad_zeros")
TO_COARSER_STEPS = ("sum", "binary", "max", "mean")


def plan(quick: bool) -> Iterator[Planned]:
    """Yield a network a bin mode adapted by its parameters, and the sum-mode one by its input."""
    epochs: tuple[Change, ...] = (("fit.epochs", QUICK_EPOCHS),) if quick else ()
    for data in (DATA["fsdd"], DATA["nmnist"]):
        for mode in MODES:
            changes = epochs if mode == "sum" else (("input.bin_mode", mode), *epochs)
            variant = "" if mode == "sum" else f"{mode}-bins"
            train = Train(data, "radlif", SOURCE_US, 0, variant, changes)
            yield Planned(train, 3)
            yield Planned(Evaluate(train, SOURCE_US, NONE), 3)
            for dt_us in (*FINER_US, *COARSER_US):
                for way in (NONE, INTEGRAL, AUTO):
                    yield Planned(Evaluate(train, dt_us, way), 3)
        whole = Train(data, "radlif", SOURCE_US, 0, "", epochs)
        # A sensor that bins at the source's step before a network that is adapted to a finer one.
        for dt_us in FINER_US:
            for kind in TO_FINER_STEPS:
                way = Way(f"auto, {kind}", "auto", None, kind, SOURCE_US)
                yield Planned(Evaluate(whole, dt_us, way), 3)
        for dts_us, kinds in ((COARSER_US, TO_FINER_STEPS), (FINER_US, TO_COARSER_STEPS)):
            for dt_us in dts_us:
                for kind in kinds:
                    way = Way(f"input {kind}", "none", input_adaptation=kind)
                    yield Planned(Evaluate(whole, dt_us, way), 3)


STUDY = Study(
    "bin-modes",
    "Bin modes, and adapting the input instead of the network",
    "What do other bins cost, and what does it cost to change the input instead?",
    plan,
    show_seconds=True,
)
