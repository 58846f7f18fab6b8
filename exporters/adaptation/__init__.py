"""The adaptation methods: one file a method, one line in this registry."""

from retempo.exporters.adaptation.euler import EULER
from retempo.exporters.adaptation.expectation import EXPECTATION
from retempo.exporters.adaptation.integral import INTEGRAL
from retempo.exporters.adaptation.lag import LAG
from retempo.exporters.adaptation.method import Layer, Method
from retempo.exporters.adaptation.none import NONE
from retempo.exporters.adaptation.tau import TAU
from retempo.exporters.errors import AdaptationError

__all__ = ["METHODS", "Layer", "Method", "default_method", "method_named"]

METHODS = {method.name: method for method in (NONE, TAU, EULER, INTEGRAL, EXPECTATION, LAG)}


def method_named(name: str) -> Method:
    """Return the adaptation method of that name.

    Raises:
        AdaptationError: there is none.
    """
    if name not in METHODS:
        raise AdaptationError(f"unknown method {name!r}; known are {', '.join(METHODS)}")
    return METHODS[name]


def default_method(source_dt_us: int, target_dt_us: int) -> str:
    """Return the method to take where none is named: `lag` where it fits, else `integral`."""
    return "integral" if source_dt_us % target_dt_us else "lag"
