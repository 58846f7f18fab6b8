"""Lag: `integral`, and the feedback keeps its delay in real time. Coarse-to-fine.

A trained network's reset and recurrence reach a neuron one source step after the spike. Stepped
`L` times finer they would arrive `L` times earlier, which makes another network of it. Here both
read the spikes of `L = source dt / target dt` target steps ago, and where `L` is no whole number
those of the two nearest steps, weighted. Ours; see docs/adaptation.md.
"""

from retempo.exporters.adaptation.exact import adapt_exactly
from retempo.exporters.adaptation.method import MOST_STEPS, Method, Schedule
from retempo.exporters.errors import UnfitError


def keep_delay(source_dt_us: int, target_dt_us: int) -> Schedule:
    """Return one step a bin whose feedback is one source step old.

    Raises:
        UnfitError: the target is the coarser one, or over 10,000 times finer.
    """
    if target_dt_us > source_dt_us:
        raise UnfitError(
            f"lag goes from coarse to fine; {source_dt_us} us to {target_dt_us} us is "
            "fine-to-coarse; use the method substep"
        )
    if source_dt_us > MOST_STEPS * target_dt_us:
        raise UnfitError(
            f"the network would keep the spikes of {source_dt_us / target_dt_us:,.0f} steps of "
            f"{target_dt_us} us, at most {MOST_STEPS:,}; take a step nearer to the source's "
            f"{source_dt_us} us, or the method integral"
        )
    return Schedule(lag=source_dt_us / target_dt_us)


LAG = Method(name="lag", adapt=adapt_exactly, schedule=keep_delay)
