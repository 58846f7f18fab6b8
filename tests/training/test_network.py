"""The torch module against the exporter's reference, and its way to a checkpoint and back."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retempo.exporters.network import Network, load_network, save_network
from retempo.exporters.neurons import NEURONS
from retempo.exporters.reference import State, step, zero_state
from retempo.exporters.resolution import Resolution, resolve
from retempo.training.checkpoint import from_network, to_network
from retempo.training.errors import TrainingError
from retempo.training.network import (
    LayerModule,
    NetworkModule,
    layer_shapes,
    mean_over_steps,
)
from tests.builders import make_inputs, make_network, neuron_names, seeds


def draw_network(neuron: str, hidden: Sequence[int], seed: int) -> Network:
    network = make_network(neuron, hidden, seed=seed)
    for name, matrix in network.weights.items():
        if name.endswith(".V"):
            np.fill_diagonal(matrix, 0.0)
    return network


def reference_outputs(
    network: Network, resolution: Resolution, x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """The reference's `y` in float64, `(steps, batch, labels)`, and its nearest miss of a spike."""
    state: State = zero_state(network, x.shape[1], np.float64)
    outputs, nearest = [], np.inf
    for row in x:
        state, y = step(network, resolution, state, row)
        outputs.append(y)
        hidden = [state[f"{layer.name}.state"][0] for layer in network.spec.layers[:-1]]
        nearest = min(nearest, *(float(np.abs(u - 1.0).min()) for u in hidden))
    return np.stack(outputs), nearest


@settings(max_examples=40)
@given(
    neuron_names,
    st.lists(st.integers(1, 20), min_size=1, max_size=3),
    st.integers(1, 4),
    st.integers(1, 25),
    seeds,
)
def test_torch_in_evaluation_is_the_reference(
    neuron: str, hidden: list[int], batch: int, steps: int, seed: int
) -> None:
    network = draw_network(neuron, hidden, seed)
    x = make_inputs(network, steps, batch, seed)
    resolution = resolve(network.spec, network.spec.source_dt_us, "none")
    expected, nearest = reference_outputs(network, resolution, x.astype(np.float64))
    assume(nearest > 1e-4)
    packed = torch.from_numpy(x.transpose(1, 0, 2).reshape(batch * steps, -1).copy())
    with torch.inference_mode():
        y = from_network(network)(packed, torch.arange(batch + 1) * steps)
    ours = y.numpy().reshape(batch, steps, -1).transpose(1, 0, 2)
    np.testing.assert_allclose(ours, expected, rtol=0.0, atol=1e-5)


def make_module(neuron: str = "radlif", seed: int = 0) -> NetworkModule:
    torch.manual_seed(seed)
    model = NEURONS[neuron]
    return NetworkModule(layer_shapes(model, 60, [8, 7], 4, model.parameters))


@settings(max_examples=20)
@given(neuron_names, seeds)
def test_a_checkpoint_brings_a_module_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, neuron: str, seed: int
) -> None:
    module = make_module(neuron, seed)
    with torch.no_grad():
        for values in module.parameters():
            values.add_(0.3 * torch.randn_like(values))
    module.project_()
    spec = make_network().spec
    network = to_network(module, spec.input, 10_000, spec.labels)
    run = tmp_path_factory.mktemp("run")
    save_network(network, run)
    again = to_network(from_network(load_network(run)), spec.input, 10_000, spec.labels)
    assert again.spec == network.spec
    for name, matrix in network.weights.items():
        np.testing.assert_array_equal(again.weights[name], matrix)


def test_a_checkpoint_with_self_connections_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"layer0\.V connects neurons to themselves"):
        from_network(make_network("radlif"))


def test_a_projected_module_is_within_its_ranges_and_has_no_self_connection() -> None:
    module = make_module()
    with torch.no_grad():
        for values in module.parameters():
            values.add_(torch.randn_like(values))
    module.project_()
    network = to_network(module, make_network().spec.input, 10_000, ["a", "b", "c", "d"])
    for layer in network.spec.layers[:-1]:
        assert not network.weights[f"{layer.name}.V"].diagonal().any()
        for name, range_ in NEURONS["radlif"].parameters.items():
            low, high = np.float32(range_.low), np.float32(range_.high)
            assert low <= min(layer.parameters[name]) <= max(layer.parameters[name]) <= high


def test_a_parameter_at_its_bound_still_learns() -> None:
    """A clamp in the forward pass would give it no gradient, and it would stay for ever."""
    module = make_module("radlif")
    layer = module.layers[0]
    assert isinstance(layer, LayerModule)
    with torch.no_grad():
        for name, range_ in layer.shape.ranges.items():
            layer.own[name].fill_(range_.high + 1.0)
        layer.norm.bias.fill_(10.0)  # it spikes
    module.project_()
    layer(torch.rand(40, 60), torch.tensor([0, 40])).sum().backward()
    for name, range_ in layer.shape.ranges.items():
        values = layer.own[name]
        assert values.detach().tolist() == [np.float32(range_.high)] * 8
        assert values.grad is not None
        assert float(values.grad.abs().sum()) > 0.0


def test_a_fresh_module_is_drawn_as_documented() -> None:
    layer = make_module().layers[0]
    assert isinstance(layer, LayerModule)
    V = layer.V
    assert V is not None
    torch.testing.assert_close(V @ V.T, torch.eye(8), rtol=0.0, atol=1e-5)
    assert float(layer.W.detach().abs().max()) <= 60**-0.5
    for name, range_ in NEURONS["radlif"].parameters.items():
        values = layer.own[name].detach()
        assert range_.low <= float(values.min()) < float(values.max()) <= range_.high


def test_the_norm_sees_the_steps_of_the_recordings_and_nothing_else() -> None:
    module = make_module()
    layer = module.layers[0]
    assert isinstance(layer, LayerModule)
    x = torch.randn(13, 60)
    module.train()
    module(x, torch.tensor([0, 3, 13]))
    z = (x @ layer.W).detach()
    assert layer.norm.running_mean is not None
    assert layer.norm.running_var is not None
    torch.testing.assert_close(layer.norm.running_mean, 0.05 * z.mean(0))
    torch.testing.assert_close(layer.norm.running_var, 0.95 + 0.05 * z.var(0))


def test_scores_are_a_recordings_mean_over_its_own_steps() -> None:
    y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.25, 0.75], [0.0, 1.0]])
    scores = mean_over_steps(y, torch.tensor([0, 2, 5]))
    torch.testing.assert_close(scores, torch.tensor([[0.5, 0.5], [0.25, 0.75]]))


def test_dropout_acts_in_training_alone() -> None:
    module = make_module()
    module.dropout = 0.5
    x, offsets = 3.0 * torch.rand(40, 60), torch.tensor([0, 40])
    with torch.no_grad():
        module.train()
        assert not torch.equal(module(x, offsets), module(x, offsets))
        module.eval()
        assert torch.equal(module(x, offsets), module(x, offsets))
