"""A layer over whole recordings: the compiled pass, its twin, and the surrogate gradient."""

import math

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from retempo.exporters.neurons import NEURONS, source_coefficients
from retempo.training.dynamics import (
    LayerCoefficients,
    layer_coefficients,
    run,
    run_plainly,
    step,
    surrogate_gradient,
)
from tests.builders import seeds

all_neurons = st.sampled_from(sorted(NEURONS))
lengths = st.lists(st.integers(1, 12), min_size=1, max_size=4)


def draw_layer(name: str, neurons: int, seed: int) -> tuple[dict[str, Tensor], Tensor | None]:
    generator = torch.Generator().manual_seed(seed)
    neuron = NEURONS[name]
    parameters = {
        key: torch.empty(neurons).uniform_(r.low, r.high, generator=generator).requires_grad_()
        for key, r in neuron.parameters.items()
    }
    if not neuron.recurrent:
        return parameters, None
    V = torch.randn(neurons, neurons, generator=generator)
    return parameters, V.requires_grad_()


def offsets_of(lengths: list[int]) -> Tensor:
    return torch.tensor([0, *lengths]).cumsum(0)


def draw_current(rows: int, neurons: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 4.0 + 8.0 * torch.randn(rows, neurons, generator=generator)


def closest_edge(coefficients: LayerCoefficients, current: Tensor, offsets: Tensor) -> float:
    """How near a potential comes to where a rounding decides about a spike or its gradient."""
    nearest = math.inf
    with torch.no_grad():
        for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            state = torch.zeros(coefficients.A.shape[0], 1, current.shape[1])
            spikes = torch.zeros(1, current.shape[1])
            for row in range(begin, end):
                state, spikes = step(coefficients, state, spikes, current[row : row + 1])
                distance = (state[0] - coefficients.threshold).abs()
                nearest = min(nearest, float(distance.min()), float((distance - 0.5).abs().min()))
    return nearest


@settings(max_examples=60)
@given(all_neurons, st.integers(1, 9), lengths, seeds)
def test_the_compiled_pass_and_its_gradients_are_those_of_autograd(
    name: str, neurons: int, lengths: list[int], seed: int
) -> None:
    parameters, V = draw_layer(name, neurons, seed)
    offsets = offsets_of(lengths)
    current = draw_current(int(offsets[-1]), neurons, seed + 1).requires_grad_()
    weight = draw_current(int(offsets[-1]), neurons, seed + 2)
    leaves = [current, *parameters.values(), *([] if V is None else [V])]
    assume(closest_edge(layer_coefficients(NEURONS[name], parameters, V), current, offsets) > 1e-4)
    results = []
    for runner in (run, run_plainly):
        out = runner(layer_coefficients(NEURONS[name], parameters, V), current, offsets)
        gradients = torch.autograd.grad((weight * out).sum(), leaves, allow_unused=True)
        results.append((out, gradients))
    (out, gradients), (plain_out, plain_gradients) = results
    torch.testing.assert_close(out, plain_out, rtol=1e-5, atol=1e-5)
    for gradient, plain in zip(gradients, plain_gradients, strict=True):
        assert (gradient is None) == (plain is None)
        if plain is not None and gradient is not None:
            scale = 1.0 + float(plain.abs().max())
            torch.testing.assert_close(gradient / scale, plain / scale, rtol=0.0, atol=2e-5)


def test_layers_of_these_tests_spike_and_learn() -> None:
    parameters, V = draw_layer("radlif", 9, 0)
    offsets = offsets_of([12, 12])
    spikes = run(
        layer_coefficients(NEURONS["radlif"], parameters, V), draw_current(24, 9, 1), offsets
    )
    assert 0.1 < float(spikes.detach().mean()) < 0.9
    spikes.sum().backward()  # type: ignore[no-untyped-call]
    assert V is not None
    for values in (*parameters.values(), V):
        assert values.grad is not None
        assert float(values.grad.abs().sum()) > 0.0


@given(all_neurons, st.integers(1, 5), seeds)
def test_coefficients_are_those_of_the_exporter(name: str, neurons: int, seed: int) -> None:
    parameters, V = draw_layer(name, neurons, seed)
    ours = layer_coefficients(NEURONS[name], parameters, V)
    theirs = source_coefficients(
        NEURONS[name], {key: values.detach().double().numpy() for key, values in parameters.items()}
    )
    for group in ("A", "R", "F", "G", *(["N"] if theirs.N is not None else [])):
        exported = torch.from_numpy(getattr(theirs, group))
        torch.testing.assert_close(
            getattr(ours, group).detach().double(), exported, rtol=0.0, atol=1e-6
        )


def test_recordings_of_a_batch_do_not_hear_each_other() -> None:
    parameters, V = draw_layer("radlif", 6, 3)
    coefficients = layer_coefficients(NEURONS["radlif"], parameters, V)
    current = draw_current(19, 6, 4)
    together = run(coefficients, current, offsets_of([7, 12]))
    apart = [
        run(coefficients, rows, offsets_of([len(rows)])) for rows in (current[:7], current[7:])
    ]
    torch.testing.assert_close(together, torch.cat(apart), rtol=0.0, atol=0.0)


def test_the_surrogate_gradient_is_a_box_of_width_1_and_height_one_half() -> None:
    potential = torch.tensor([0.49, 0.51, 1.0, 1.49, 1.51])
    expected = torch.tensor([0.0, 0.5, 0.5, 0.5, 0.0])
    torch.testing.assert_close(surrogate_gradient(potential, 1.0), expected)


def test_a_spike_carries_the_surrogate_gradient_back() -> None:
    # One LIF step from rest with alpha = 0.9: u = 0.1 i.
    parameters = {"alpha": torch.full((4,), 0.9)}
    current = torch.tensor([[4.0, 6.0, 12.0, 16.0]], requires_grad=True)
    spikes = run(layer_coefficients(NEURONS["lif"], parameters, None), current, offsets_of([1]))
    assert spikes.tolist() == [[0.0, 0.0, 1.0, 1.0]]
    spikes.sum().backward()  # type: ignore[no-untyped-call]
    assert current.grad is not None
    torch.testing.assert_close(current.grad, torch.tensor([[0.0, 0.05, 0.05, 0.0]]))
