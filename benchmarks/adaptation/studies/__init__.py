"""Every study by its name: one file a question, one line in this registry."""

from benchmarks.adaptation.studies import (
    adapting_cost,
    bin_modes,
    depth,
    normalisation,
    speakers,
    tables,
)
from benchmarks.adaptation.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        *tables.STUDIES,
        speakers.STUDY,
        bin_modes.STUDY,
        normalisation.STUDY,
        depth.STUDY,
        adapting_cost.STUDY,
    )
}
# What runs unless studies are named: all that needs no download.
USUAL = ("fsdd", "nmnist", "speakers", "bin-modes", "normalisation", "depth", "adapting-cost")
QUICK = ("fsdd", "nmnist")

__all__ = ["QUICK", "STUDIES", "USUAL", "Study"]
