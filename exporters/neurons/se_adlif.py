"""Adaptive leaky integrate-and-fire by symplectic Euler, with and without recurrence.

    u = alpha u' - (1 - alpha) w' + (1 - alpha) (i + V s)
    w = beta w' + (1 - beta) q a u      with the u just computed
    u' = u - s,    w' = w + (1 - beta) q (b - a) s      of the step before

The membrane moves first and the adaptation follows the new membrane, which keeps the oscillation
of a resonating neuron where explicit Euler would drive it apart: det A = alpha beta whatever `a`
is, and the neuron is stable and without a negative eigenvalue for all `0 <= q a (1 - alpha)
(1 - beta) < alpha + beta`. In the ranges below the product is at most 0.71 and the sum at least
1.78. The reset subtracts 1 from the membrane and thereby `(1 - beta) q a` from what the adaptation
saw of it. State order (u, w).

Source: Baronig, Ferrand, Sabathiel and Legenstein 2024, arXiv 2408.07517, SE-adLIF; the subtractive
reset, which keeps the neuron linear, is ours. `q = 120`, the slowest adaptation in steps, makes
`q (1 - beta)` about 1, so that `a` and `b` are of order 1 and learn at the pace of the others.
"""

from collections.abc import Mapping
from dataclasses import replace

from retempo.exporters.neurons.adlif import ADAPTATION_DECAY
from retempo.exporters.neurons.general import Groups, Neuron, Range, Vector
from retempo.exporters.neurons.lif import MEMBRANE_DECAY

SCALE = 120.0


def _groups(p: Mapping[str, Vector]) -> Groups:
    alpha, beta = p["alpha"], p["beta"]
    g, h = 1.0 - alpha, 1.0 - beta
    coupling, jump = SCALE * h * p["a"], SCALE * h * (p["b"] - p["a"])
    kept = beta - coupling * g
    A = ((alpha, -g), (coupling * alpha, kept))
    R = (-alpha - g * jump, -coupling * alpha + kept * jump)
    return Groups(A, R, (g, coupling * g), (g, coupling * g))


SE_ADLIF = Neuron(
    name="se_adlif",
    variables=2,
    parameters={
        "alpha": MEMBRANE_DECAY,
        "beta": ADAPTATION_DECAY,
        "a": Range(0.0, 1.0),
        "b": Range(0.0, 2.0),
    },
    decays=("alpha", "beta"),
    groups=_groups,
)

SE_RADLIF = replace(SE_ADLIF, name="se_radlif", recurrent=True)
