"""What a resolution is to the kernel; made once, however many streams go to and fro."""

import math
from dataclasses import dataclass
from functools import cached_property

from retempo.exporters.resolution import Resolution
from retempo.runtime.engines.sparse.program import Floats, Program, coefficients_of
from retempo.runtime.engines.sparse.silence import Plan, plan_of


@dataclass(frozen=True, eq=False)
class Tuning:
    """The coefficients of a program at a resolution, and how a bin is stepped.

    `lag` is that of the older of the two heard steps; the younger one weighs `newer`, 0 where the
    lag is whole.
    """

    program: Program
    resolution: Resolution
    coefficients: Floats
    lag: int
    newer: float
    substeps: int

    @cached_property
    def plan(self) -> Plan:
        """What silence does, see `silence`; made when a stream is first silent."""
        return plan_of(self.program, self.coefficients)


def tuning_of(program: Program, resolution: Resolution) -> Tuning:
    """Tune a program."""
    lag = math.ceil(resolution.lag)
    return Tuning(
        program=program,
        resolution=resolution,
        coefficients=coefficients_of(program, resolution),
        lag=lag,
        newer=lag - resolution.lag,
        substeps=resolution.substeps,
    )
