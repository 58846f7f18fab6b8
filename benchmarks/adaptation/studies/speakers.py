"""Leave one speaker out: train on five, test on the sixth."""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.adaptation.jobs import Evaluate, Planned, Train
from benchmarks.adaptation.plan import AUTO, DATA, INTEGRAL, NONE
from benchmarks.adaptation.studies.study import QUICK_EPOCHS, Study

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
SOURCE_US = 10_000
TARGETS_US = (1_000, 2_000, 5_000, 20_000, 40_000)
# Every take of a speaker is a test recording, and those of the other five are for training.
_SPOKEN = replace(DATA["fsdd"], train_recordings=2_400, test_recordings=480)


def plan(quick: bool) -> Iterator[Planned]:
    """Yield a network a speaker, and its tests."""
    epochs = (("fit.epochs", QUICK_EPOCHS),) if quick else ()
    for speaker in SPEAKERS:
        held_out = ("data.held_out_speaker", speaker)
        train = Train(_SPOKEN, "radlif", SOURCE_US, 0, f"without-{speaker}", (held_out, *epochs))
        yield Planned(train, 3)
        yield Planned(Evaluate(train, SOURCE_US, NONE), 3)
        for dt_us in TARGETS_US:
            for way in (NONE, INTEGRAL, AUTO):
                yield Planned(Evaluate(train, dt_us, way), 3)


STUDY = Study(
    "speakers",
    "Spoken digits, one speaker left out",
    "Does adaptation hold for a voice that the network has never heard?",
    plan,
    folds=True,
)
