"""A neuron's upswing as nodes of the step graph, written by running its own formula."""

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.errors import NetworkError
from retempo.exporters.neurons.general import Upswing


class Nodes(Protocol):
    """What is being built; see `exporters.step_graph`."""

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add an initializer that is no input."""
        ...

    def first(self) -> str:
        """Return the name of the index 0."""
        ...

    def node(self, operator: str, inputs: list[str], output: str, **attributes: int) -> None:
        """Add a node."""
        ...


def add_upswing(graph: Nodes, layer: str, upswing: Upswing) -> None:
    """Add `<layer>.upswing = N phi(min(max(v_0, 0), threshold))` of the state before the step."""
    zero = graph.constant("zero", np.zeros((), np.float32))
    graph.node("Gather", [f"{layer}.state", graph.first()], f"{layer}.u_before", axis=0)
    graph.node("Max", [f"{layer}.u_before", zero], f"{layer}.above_rest")
    graph.node("Min", [f"{layer}.above_rest", f"{layer}.threshold"], f"{layer}.phi_of")
    phi = upswing.value(_Traced(_Trace(graph, f"{layer}.phi"), f"{layer}.phi_of"))
    graph.node("Mul", [f"{layer}.N", phi.name], f"{layer}.upswing")


class _Trace:
    """Numbers the nodes and constants of one formula."""

    def __init__(self, graph: Nodes, prefix: str) -> None:
        self._graph = graph
        self._prefix = prefix
        self._count = 0

    def name_of(self, value: Any) -> str:
        if isinstance(value, _Traced):
            return value.name
        if isinstance(value, int | float):
            return self._graph.constant(self._next(), np.array(value, np.float32))
        raise NetworkError(
            f"the formula of {self._prefix} computes with a {type(value).__name__}; an upswing is "
            "plain arithmetic of its argument and of numbers"
        )

    def add(self, operator: str, *values: Any) -> "_Traced":
        inputs = [self.name_of(value) for value in values]
        output = self._next()
        self._graph.node(operator, inputs, output)
        return _Traced(self, output)

    def _next(self) -> str:
        self._count += 1
        return f"{self._prefix}_{self._count}"


class _Traced:
    """A number that is known when the graph runs: arithmetic on it adds nodes."""

    def __init__(self, trace: _Trace, name: str) -> None:
        self._trace = trace
        self.name = name

    def __add__(self, other: Any) -> "_Traced":
        return self._trace.add("Add", self, other)

    def __radd__(self, other: Any) -> "_Traced":
        return self._trace.add("Add", other, self)

    def __sub__(self, other: Any) -> "_Traced":
        return self._trace.add("Sub", self, other)

    def __rsub__(self, other: Any) -> "_Traced":
        return self._trace.add("Sub", other, self)

    def __mul__(self, other: Any) -> "_Traced":
        return self._trace.add("Mul", self, other)

    def __rmul__(self, other: Any) -> "_Traced":
        return self._trace.add("Mul", other, self)

    def __truediv__(self, other: Any) -> "_Traced":
        return self._trace.add("Div", self, other)

    def __rtruediv__(self, other: Any) -> "_Traced":
        return self._trace.add("Div", other, self)

    def __pow__(self, other: Any) -> "_Traced":
        return self._trace.add("Pow", self, other)

    def __rpow__(self, other: Any) -> "_Traced":
        if other == math.e:
            return self._trace.add("Exp", self)
        return self._trace.add("Pow", other, self)

    def __neg__(self) -> "_Traced":
        return self._trace.add("Neg", self)
