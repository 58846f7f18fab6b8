"""The dynamics of a layer over whole recordings, differentiable.

A batch is packed: the steps of all its recordings stand one after another, recording `b` in the
rows `offsets[b]` to `offsets[b + 1]`. No row is padding, so no mask is needed anywhere.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from retempo.exporters.neurons import Neuron
from retempo.exporters.neurons.general import Upswing
from retempo.training.kernels import kernels_of

SURROGATE_WIDTH = 1.0
SURROGATE_HEIGHT = 0.5


class LayerCoefficients(NamedTuple):
    """A, R, F, G and N as tensors, see `retempo.exporters.neurons.Coefficients`, and the rest.

    Shapes: `A` `(variables, variables, neurons)`; `R`, `F`, `G`, `N` `(variables, neurons)`; `V`
    `(neurons, neurons)`, spikes from the left, or None; `threshold` inf for a readout. A linear
    neuron has neither `N` nor `upswing`.
    """

    A: Tensor
    R: Tensor
    F: Tensor
    G: Tensor
    V: Tensor | None
    threshold: float
    N: Tensor | None = None
    upswing: Upswing | None = None


def layer_coefficients(
    neuron: Neuron, parameters: Mapping[str, Tensor], V: Tensor | None, threshold: float = 1.0
) -> LayerCoefficients:
    """Return a layer's coefficients by the formulas of its neuron model, the exporter's own.

    Shapes: every parameter is `(neurons,)`.
    """
    A, R, F, G, N = neuron.groups(parameters)
    zeros = torch.zeros_like(next(iter(parameters.values())))

    def row(entries: tuple[Tensor | float, ...]) -> Tensor:
        return torch.stack([zeros + entry for entry in entries])

    limit = threshold if neuron.spiking else float("inf")
    return LayerCoefficients(
        torch.stack([row(entries) for entries in A]),
        *(row(R), row(F), row(G)),
        *(V, limit),
        *(None if N is None else row(N), neuron.upswing),
    )


def surrogate_gradient(potential: Tensor, threshold: float) -> Tensor:
    """Return the slope that stands for the derivative of a spike: a box round the threshold.

    Source: sparch (Bittar and Garner 2022): height 0.5 where |u - threshold| <= 0.5.
    """
    inside = (potential - threshold).abs() <= SURROGATE_WIDTH / 2
    return SURROGATE_HEIGHT * inside.to(potential.dtype)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, threshold: float) -> Tensor:
        ctx.save_for_backward(u)
        ctx.threshold = threshold
        return (u > threshold).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (u,) = ctx.saved_tensors
        return gradient * surrogate_gradient(u, ctx.threshold), None


def step(
    coefficients: LayerCoefficients, state: Tensor, spikes: Tensor, current: Tensor
) -> tuple[Tensor, Tensor]:
    """Step a layer by one bin.

        v = A v + R s + F i + G (s V) + N phi(v_0 from 0 to the threshold),   s = 1[v_0 > threshold]

    Shapes: `state` `(variables, batch, neurons)`; `spikes` and `current` `(batch, neurons)`.
    """
    A, R, F, G, V, threshold, N, upswing = coefficients
    v = torch.einsum("ijn,jbn->ibn", A, state)
    v = v + R[:, None] * spikes + F[:, None] * current
    if V is not None:
        v = v + G[:, None] * (spikes @ V)
    if N is not None and upswing is not None:
        v = v + N[:, None] * upswing.value(state[0].clamp(0.0, threshold))
    return v, _Spike.apply(v[0], threshold)  # type: ignore[no-untyped-call]


def run_plainly(coefficients: LayerCoefficients, current: Tensor, offsets: Tensor) -> Tensor:
    """Step each recording from rest by `step`: the twin of `run`, differentiated by autograd.

    Shapes: `current` and the result `(steps, neurons)`; `offsets` `(recordings + 1,)`.
    """
    variables = coefficients.A.shape[0]
    rows = []
    for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        state = current.new_zeros(variables, 1, current.shape[1])
        spikes = current.new_zeros(1, current.shape[1])
        for row in range(begin, end):
            state, spikes = step(coefficients, state, spikes, current[row : row + 1])
            rows.append(spikes if coefficients.threshold != float("inf") else state[0])
    return torch.cat(rows)


def run(coefficients: LayerCoefficients, current: Tensor, offsets: Tensor) -> Tensor:
    """Return the spikes of a layer, or the potential of a readout, from rest, at every step.

    One compiled pass over all steps forwards and one backwards, instead of one call an operation, a
    step and a direction: at these sizes calls cost more than arithmetic.

    Shapes: `current` and the result `(steps, neurons)`, float32 on the CPU; `offsets`
    `(recordings + 1,)`, int64.
    """
    A, R, F, G, V, threshold, N, upswing = coefficients
    none = current.new_zeros(0, 0)
    V, N = none if V is None else V, none if N is None else N
    result: Tensor = _Run.apply(  # type: ignore[no-untyped-call]
        A, R, F, G, N, V, threshold, upswing, current, offsets
    )
    return result


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        A: Tensor,
        R: Tensor,
        F: Tensor,
        G: Tensor,
        N: Tensor,
        V: Tensor,
        threshold: float,
        upswing: Upswing | None,
        current: Tensor,
        offsets: Tensor,
    ) -> Tensor:
        given = (A, R, F, G, N, V, current)
        A, R, F, G, N, V, current = (values.detach().contiguous() for values in given)
        steps, neurons = current.shape
        v = current.new_empty(A.shape[0], steps, neurons)
        spikes = current.new_zeros(steps, neurons)
        heard = current.new_zeros(steps, neurons) if V.numel() else current.new_zeros(0, neurons)
        raised = current.new_zeros(0 if upswing is None else steps, neurons)
        tensors = (A, R, F, G, N, V, current, offsets, v, spikes, heard, raised)
        forwards, _ = kernels_of(upswing)
        forwards(threshold, *(values.numpy() for values in tensors))
        ctx.save_for_backward(*tensors)
        ctx.threshold = threshold
        ctx.upswing = upswing
        return v[0] if threshold == float("inf") else spikes

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        A, _, _, _, N, V, current, offsets, _, spikes, heard, _ = saved
        variables, _, neurons = A.shape
        to_current = torch.empty_like(current)
        to_heard = torch.zeros_like(heard)
        to_A = current.new_zeros(variables, variables, neurons)
        to_R, to_F, to_G = (current.new_zeros(variables, neurons) for _ in range(3))
        to_N = torch.zeros_like(N)
        threshold: float = ctx.threshold
        results = (to_current, to_heard, to_A, to_R, to_F, to_G, to_N)
        tensors = (*saved, gradient.contiguous(), *results)
        _, backwards = kernels_of(ctx.upswing)
        backwards(
            threshold, SURROGATE_WIDTH, SURROGATE_HEIGHT, *(values.numpy() for values in tensors)
        )
        to_V = None
        if V.numel():
            # Rows that begin a recording have heard nothing, so their neighbour above adds nothing.
            to_V = spikes[:-1].T @ _after_the_first(to_heard, offsets)
        return to_A, to_R, to_F, to_G, to_N, to_V, None, None, to_current, None


def _after_the_first(rows: Tensor, offsets: Tensor) -> Tensor:
    kept = rows.clone()
    kept[offsets[:-1]] = 0.0
    return kept[1:]
