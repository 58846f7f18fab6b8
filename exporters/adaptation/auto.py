"""Auto: `lag` from coarse to fine, `substep` from fine to coarse. What is taken unless named."""

from retempo.exporters.adaptation.exact import adapt_exactly
from retempo.exporters.adaptation.lag import keep_delay
from retempo.exporters.adaptation.method import Method, Schedule
from retempo.exporters.adaptation.substep import step_within


def _by_direction(source_dt_us: int, target_dt_us: int) -> Schedule:
    fitting = keep_delay if target_dt_us <= source_dt_us else step_within
    return fitting(source_dt_us, target_dt_us)


AUTO = Method(name="auto", adapt=adapt_exactly, normalisation="matched", schedule=_by_direction)
