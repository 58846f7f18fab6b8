"""Real powers of A and the gain of a held input, against simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retempo.exporters.adaptation.powers import apply, eigenvalues, held_gain, power
from retempo.exporters.errors import UnfitError
from retempo.exporters.neurons import NEURONS, source_coefficients
from retempo.exporters.neurons.general import Array
from tests.builders import make_parameters, neuron_names, seeds

rhos = st.floats(0.01, 4.0)


def draw_matrices(neuron: str, seed: int, neurons: int = 16) -> Array:
    parameters = make_parameters(neuron, neurons, np.random.default_rng(seed))
    return source_coefficients(NEURONS[neuron], parameters).A


@given(neuron_names, seeds, st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_powers_compose(neuron: str, seed: int, rho1: float, rho2: float) -> None:
    A = draw_matrices(neuron, seed)
    np.testing.assert_allclose(power(power(A, rho1), rho2), power(A, rho1 * rho2), atol=1e-9)


@given(neuron_names, seeds, st.integers(0, 1000))
def test_an_integer_power_is_a_product(neuron: str, seed: int, rho: int) -> None:
    A = draw_matrices(neuron, seed)
    product = np.moveaxis(np.linalg.matrix_power(np.moveaxis(A, -1, 0), rho), 0, -1)
    np.testing.assert_allclose(power(A, float(rho)), product, rtol=1e-9, atol=1e-9)


@given(neuron_names, seeds, st.floats(1.0, 500.0))
def test_large_powers_go_on_where_the_integers_leave_off(
    neuron: str, seed: int, rho: float
) -> None:
    """The road by eigenvalue agrees with products: A^rho = A^(rho - n) A^n, stable neurons."""
    parameters = make_parameters(neuron, 64, np.random.default_rng(seed), stable=True)
    A = source_coefficients(NEURONS[neuron], parameters).A
    whole = float(int(rho))
    part = rho + 0.5 - whole
    parts = np.einsum("ijk,jlk->ilk", power(A, part), power(A, whole))
    np.testing.assert_allclose(power(A, rho + 0.5), parts, atol=1e-9)
    gains = held_gain(A, part) + np.einsum("ijk,jlk->ilk", power(A, part), held_gain(A, whole))
    np.testing.assert_allclose(held_gain(A, rho + 0.5), gains, rtol=1e-8, atol=1e-8)


def test_a_pair_beside_the_negative_axis_turns_the_long_way() -> None:
    """-0.5 +- 0.001i at the power 1/2 turns by almost a quarter, not by nothing."""
    A = np.array([[-0.5, -1e-3], [1e-3, -0.5]])[:, :, np.newaxis]
    root = power(A, 0.5)[:, :, 0]
    np.testing.assert_allclose(root @ root, A[:, :, 0], atol=1e-12)
    assert abs(root[0, 1]) > 0.7


def test_a_neuron_without_memory_has_integer_powers_alone() -> None:
    A = np.array([[0.0, 1.0], [0.0, 0.0]])[:, :, np.newaxis]
    np.testing.assert_array_equal(power(A, 1.0), A)
    np.testing.assert_array_equal(power(A, 3.0)[:, :, 0], np.zeros((2, 2)))
    with pytest.raises(UnfitError, match="layer has a neuron whose two eigenvalues are zero"):
        power(A, 0.5)


@given(neuron_names, seeds, st.integers(1, 12))
def test_a_held_gain_is_the_sum_of_powers(neuron: str, seed: int, rho: int) -> None:
    A = draw_matrices(neuron, seed)
    total, term = np.zeros_like(A), power(A, 0.0)
    for _ in range(rho):
        total, term = total + term, np.einsum("ijk,jlk->ilk", A, term)
    np.testing.assert_allclose(held_gain(A, float(rho)), total, rtol=1e-8, atol=1e-9)


@given(seeds, rhos, rhos)
def test_two_held_steps_are_one(seed: int, rho1: float, rho2: float) -> None:
    A = draw_matrices("lif", seed)
    twice = apply(power(A, rho2), held_gain(A, rho1)[0]) + held_gain(A, rho2)[0]
    np.testing.assert_allclose(twice, held_gain(A, rho1 + rho2)[0], rtol=1e-10)


@given(st.sampled_from([0.0, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3]), st.floats(0.01, 100.0))
def test_an_integrator_holds_rho_inputs(distance: float, rho: float) -> None:
    A = np.array([[[1.0 - distance]]])
    expected = sum(
        np.prod([(rho - k) / (k + 1) for k in range(n + 1)]) * (-distance) ** n for n in range(8)
    )
    np.testing.assert_allclose(held_gain(A, rho)[0, 0, 0], expected, rtol=1e-7)


@given(st.sampled_from([0.0, 1e-14, 1e-9, 1e-5, 1e-3, 9e-3, 1.1e-2]), rhos, st.floats(0.2, 1.0))
def test_close_eigenvalues_lose_no_digits(gap: float, rho: float, decay: float) -> None:
    """An upper triangle with equal or almost equal eigenvalues has a power in closed form."""
    a, b = decay, decay * (1.0 - gap)
    A = np.array([[a, 0.3], [0.0, b]])[:, :, np.newaxis]
    # The mean slope of l^rho between a and b = a (1 - gap), written so that no digit cancels.
    mean = rho if gap == 0.0 else -np.expm1(rho * np.log1p(-gap)) / gap
    expected = np.array([[a**rho, 0.3 * a ** (rho - 1) * mean], [0.0, b**rho]])
    np.testing.assert_allclose(power(A, rho)[:, :, 0], expected, rtol=1e-10)


def test_a_complex_pair_turns_by_a_part_of_its_angle() -> None:
    angle, radius = 0.7, 0.95
    turn = radius * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    part = radius**0.25 * np.array(
        [[np.cos(angle / 4), -np.sin(angle / 4)], [np.sin(angle / 4), np.cos(angle / 4)]]
    )
    np.testing.assert_allclose(power(turn[:, :, np.newaxis], 0.25)[:, :, 0], part, atol=1e-14)


def test_three_variables_have_powers_too() -> None:
    A = np.array([[0.9, 0.1, 0.0], [0.0, 0.8, 0.2], [0.05, 0.0, 0.7]])[:, :, np.newaxis]
    third = power(A, 1 / 3)[:, :, 0]
    np.testing.assert_allclose(third @ third @ third, A[:, :, 0], atol=1e-12)


def test_a_negative_eigenvalue_names_layer_and_neuron() -> None:
    A = np.array([[[0.9, -0.5]]])
    with pytest.raises(
        UnfitError, match=r"layer3, neuron 1: eigenvalue -0\.5 .* negative real axis"
    ):
        power(A, 0.5, "layer3")
    np.testing.assert_allclose(power(A, 2.0, "layer3"), A**2)


def test_drawn_neurons_cover_complex_and_growing_eigenvalues() -> None:
    """The properties above are worth little if the drawn neurons are all tame."""
    values = np.concatenate([eigenvalues(draw_matrices("adlif", seed)) for seed in range(20)])
    assert (values.imag != 0.0).mean() > 0.1
    assert (np.abs(values) >= 1.0).mean() > 0.1
