"""Substep: a coarse bin is stepped several times, each about as long as a source step.

`n = ceil(target dt / source dt)` inner steps a bin, each with an `n`-th of the bin's events. Where
`n` source steps fill the bin exactly the network is the source network; else its inner step is a
little finer than the source's, adapted by `integral` with the feedback delay of `lag`. Ours; see
docs/adaptation.md.
"""

from retempo.exporters.adaptation.exact import adapt_exactly
from retempo.exporters.adaptation.method import Method, Schedule, inner_steps
from retempo.exporters.errors import UnfitError


def step_within(source_dt_us: int, target_dt_us: int) -> Schedule:
    """Return the inner steps of a bin and the lag that keeps the source's delay.

    Raises:
        UnfitError: the target is the finer one, or the bin would take over 10,000 inner steps.
    """
    if target_dt_us < source_dt_us:
        raise UnfitError(
            f"substep goes from fine to coarse; {source_dt_us} us to {target_dt_us} us is "
            "coarse-to-fine; use the method lag"
        )
    substeps = inner_steps(source_dt_us, target_dt_us).substeps
    return Schedule(substeps, substeps * source_dt_us / target_dt_us)


SUBSTEP = Method(name="substep", adapt=adapt_exactly, normalisation="matched", schedule=step_within)
