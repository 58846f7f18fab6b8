"""Lag: `integral`, and the feedback keeps its delay in real time. Coarse-to-fine.

A trained network's reset and recurrence reach a neuron one source step after the spike. Stepped
`L` times finer they would arrive `L` times earlier, which makes another network of it. Here both
read the spikes of `L = source dt / target dt` target steps ago. Ours; see docs/adaptation.md.
"""

from retempo.exporters.adaptation.integral import adapt
from retempo.exporters.adaptation.method import Method
from retempo.exporters.errors import UnfitError


def _lag(source_dt_us: int, target_dt_us: int) -> int:
    if target_dt_us > source_dt_us:
        raise UnfitError(
            f"lag goes from coarse to fine; {source_dt_us} us to {target_dt_us} us is "
            "fine-to-coarse; use the method integral"
        )
    if source_dt_us % target_dt_us:
        raise UnfitError(
            f"lag needs a target time step that divides the source's {source_dt_us} us; "
            f"{target_dt_us} us does not; use the method integral, or another step"
        )
    return source_dt_us // target_dt_us


LAG = Method(name="lag", adapt=adapt, lag=_lag)
