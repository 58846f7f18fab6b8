"""The adaptation methods: one file a method, one line in this registry."""

from retempo.exporters.adaptation.auto import AUTO
from retempo.exporters.adaptation.euler import EULER
from retempo.exporters.adaptation.expectation import EXPECTATION
from retempo.exporters.adaptation.impulse import IMPULSE
from retempo.exporters.adaptation.integral import INTEGRAL
from retempo.exporters.adaptation.lag import LAG
from retempo.exporters.adaptation.method import Layer, Method, Schedule
from retempo.exporters.adaptation.none import NONE
from retempo.exporters.adaptation.substep import SUBSTEP
from retempo.exporters.adaptation.tau import TAU
from retempo.exporters.errors import AdaptationError

__all__ = ["METHODS", "Layer", "Method", "Schedule", "method_named"]

METHODS = {
    method.name: method
    for method in (NONE, TAU, EULER, INTEGRAL, EXPECTATION, IMPULSE, LAG, SUBSTEP, AUTO)
}


def method_named(name: str) -> Method:
    """Return the adaptation method of that name.

    Raises:
        AdaptationError: there is none.
    """
    if name not in METHODS:
        raise AdaptationError(f"unknown method {name!r}; known are {', '.join(METHODS)}")
    return METHODS[name]
