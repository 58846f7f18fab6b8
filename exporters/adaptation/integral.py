"""Integral: the exact solution of the source dynamics over the target step, all inputs held.

With a constant input below the threshold, `1 / rho` target steps end exactly where one source step
ends. Source: arXiv 2411.04760 for `A^rho`; the groups are derived in docs/adaptation.md.
"""

from retempo.exporters.adaptation.exact import adapt_exactly
from retempo.exporters.adaptation.method import Method, inner_steps

INTEGRAL = Method(name="integral", adapt=adapt_exactly, nonlinear=inner_steps)
