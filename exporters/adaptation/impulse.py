"""Impulse: `integral` for the input, and a spike keeps its charge.

A reset or a recurrent spike is an event, not a current: whatever the step, it moves the state by
what it moved it by at the source. The jump of a neuron that is given by its equation is exact.
Impulse-invariant discretisation of the feedback; derived in docs/adaptation.md.
"""

from functools import partial

from retempo.exporters.adaptation.exact import adapt_exactly
from retempo.exporters.adaptation.method import Method, inner_steps

IMPULSE = Method(name="impulse", adapt=partial(adapt_exactly, held="F"), nonlinear=inner_steps)
