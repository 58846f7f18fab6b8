"""How the input of a bin grows with the bin, for each bin mode.

`x` is an input of a source bin, `x'` of a bin `rho` times as long, `p` the share of source bins in
which an input is not zero while it is active, see `training.occupancy`:

    mode          E x' / E x               Var x' / Var x for independent events
    sum           rho                      rho
    mean          1                        1 / rho
    binary, max   (1 - (1-p)^rho) / p      (1 - (1-p)^rho) / p * (1-p)^(rho-1)

The last line is a Bernoulli input's: it stays silent with the probability `(1-p)^rho`. `max` counts
more than one now and then; the line is its law as far as one event a unit goes. Derived here; see
docs/adaptation.md.
"""

import math

from retempo.exporters.description import InputSpec
from retempo.exporters.normalisation import InputScale

SATURATING = ("binary", "max")


def input_scale(spec: InputSpec, rho: float) -> InputScale:
    """Return how the inputs of a bin `rho` times the source's compare with the source's.

    A saturating mode without a known `occupancy` grows as `sum` does, see `scale_note`.
    """
    if spec.bin_mode == "mean":
        return InputScale(1.0, 1.0 / rho)
    if spec.bin_mode == "sum" or spec.occupancy is None:
        return InputScale(rho, rho)
    silence = math.log1p(-spec.occupancy)
    mean = -math.expm1(rho * silence) / spec.occupancy
    return InputScale(mean, mean * math.exp((rho - 1.0) * silence))


def scale_note(spec: InputSpec) -> str | None:
    """Return what a user should know of the law that is taken, None where it is the mode's own."""
    if spec.bin_mode in SATURATING and spec.occupancy is None:
        return (
            f"the network does not say how often its {spec.bin_mode} inputs are active, so its "
            "normalisation moves as that of sum; train it again, or use --normalisation measured"
        )
    return None
