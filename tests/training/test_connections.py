"""Convolutions in training: what a map shares, its way to a checkpoint, and presets of it."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from retempo.exporters.connections import DENSE, Conv2dSpec, DenseSpec, PoolSpec
from retempo.exporters.description import ChannelSpec, GridSpec, InputSpec, connection_of
from retempo.exporters.network import Network, load_network, save_network
from retempo.runtime.errors import ConfigError
from retempo.runtime.layout import layout_of
from retempo.training.batches import BinPlan, Kept
from retempo.training.checkpoint import from_network, to_network
from retempo.training.config import ConvConfig, NetworkConfig, load_train_config
from retempo.training.connections import product
from retempo.training.epochs import accuracy
from retempo.training.errors import TrainingError
from retempo.training.evaluation import evaluate, model_of
from retempo.training.fit import fit
from retempo.training.layers import planned_layers
from retempo.training.network import (
    LayerModule,
    NetworkModule,
    per_neuron,
)
from tests.conv_builders import conv_networks, make_conv_network
from tests.training.test_fit import make_config, make_dataset

GRID = InputSpec(GridSpec(8, 6, 2))
CONFIG = NetworkConfig(
    neuron="radlif",
    conv=[ConvConfig(channels=3, kernel=3, stride=2, padding=1, neuron="adlif")],
    pool=2,
    pooling="max",
    hidden=[7, 5],
    dropout=0.0,
)


def make_module(seed: int = 0) -> NetworkModule:
    torch.manual_seed(seed)
    return NetworkModule(planned_layers(CONFIG, GRID, 4))


def first_layer(module: NetworkModule) -> LayerModule:
    layer = module.layers[0]
    assert isinstance(layer, LayerModule)
    return layer


def test_a_preset_plans_convolutions_before_dense_layers() -> None:
    shapes = planned_layers(CONFIG, GRID, 4)
    assert [(s.name, s.neuron.name, s.inputs, s.neurons) for s in shapes] == [
        ("conv1", "adlif", 96, 36),
        ("hidden1", "radlif", 36, 7),
        ("hidden2", "radlif", 7, 5),
        ("readout", "leaky_readout", 5, 4),
    ]
    assert [s.connection for s in shapes] == [
        Conv2dSpec((2, 6, 8), channels=3, kernel=3, stride=2, padding=1),
        DenseSpec((3, 3, 4), PoolSpec(2, "max")),
        DENSE,
        DENSE,
    ]


def test_a_map_shares_its_channels_parameters_and_their_gradients() -> None:
    module = make_module()
    layer = first_layer(module)
    assert layer.W.shape == (3, 2, 3, 3)
    assert layer.norm.num_features == 3
    own = {name: values.shape for name, values in layer.own.items()}
    assert own == dict.fromkeys(own, (3,))
    spread = per_neuron(layer)
    for name, values in spread.items():
        np.testing.assert_array_equal(values.detach().view(3, 12)[:, 0], layer.own[name].detach())
        assert (values.view(3, 12) == values.view(3, 12)[:, :1]).all()
    spread["alpha"].sum().backward()  # type: ignore[no-untyped-call]
    gradient = layer.own["alpha"].grad
    assert gradient is not None
    torch.testing.assert_close(gradient, torch.full((3,), 12.0))


def test_the_norm_of_a_map_is_that_of_steps_and_positions() -> None:
    """As `BatchNorm2d` has it."""
    layer = first_layer(make_module())
    layer.train()
    twin = torch.nn.BatchNorm2d(3, eps=1e-5, momentum=0.05)
    x = torch.rand(11, 96)
    with torch.no_grad():
        z = product(layer.shape.connection, layer.W, x)
        expected = twin(z.view(11, 3, 3, 4)).flatten(1)
        torch.testing.assert_close(layer.current(x), expected)
    torch.testing.assert_close(layer.norm.running_mean, twin.running_mean)
    torch.testing.assert_close(layer.norm.running_var, twin.running_var)


def test_every_parameter_of_a_convolution_learns() -> None:
    module = make_module()
    module.train()
    with torch.no_grad():
        for layer in module.layers:
            assert isinstance(layer, LayerModule)
            layer.norm.weight.fill_(5.0)  # potentials reach the threshold
    y = module(3.0 * torch.rand(40, 96), torch.tensor([0, 20, 40]))
    y[:, 0].log().sum().backward()
    for name, values in module.named_parameters():
        assert values.grad is not None, name
        assert values.grad.isfinite().all(), name
        if name.startswith("layers.0"):
            assert values.grad.abs().max() > 0, name


@settings(max_examples=20)
@given(conv_networks)
def test_a_checkpoint_of_convolutions_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, network: Network
) -> None:
    spec = network.spec
    once = to_network(from_network(network), spec.input, spec.source_dt_us, spec.labels)
    run = tmp_path_factory.mktemp("run")
    save_network(once, run)
    again = to_network(from_network(load_network(run)), spec.input, spec.source_dt_us, spec.labels)
    assert again.spec == once.spec
    assert [connection_of(a) for a in once.spec.layers] == [connection_of(a) for a in spec.layers]
    for name, matrix in network.weights.items():
        np.testing.assert_array_equal(again.weights[name], matrix)


def test_a_map_whose_neurons_differ_is_not_trained_further() -> None:
    network = make_conv_network()
    layer = network.spec.layers[0]
    alpha = list(layer.parameters["alpha"])
    alpha[13] += 1e-3
    other = msgspec.structs.replace(layer, parameters={**layer.parameters, "alpha": alpha})
    layers = [other, *network.spec.layers[1:]]
    spec = msgspec.structs.replace(network.spec, layers=layers)
    with pytest.raises(TrainingError, match=r"layer0\.alpha differs within channel 1; the neurons"):
        from_network(Network(spec, network.weights))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('neuron = "lief", channels = 1, kernel = 1', "unknown neuron 'lief'; known are adex"),
        ('neuron = "leaky_readout", channels = 1, kernel = 1', "expected one that spikes"),
    ],
)
def test_a_convolution_of_no_neuron_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "preset.toml"
    path.write_text(f'[data]\nkind = "folder"\n[network]\nconv = [{{ {line} }}]\n')
    with pytest.raises(TrainingError, match=message):
        load_train_config(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("channels = 1", "missing required field kernel"),
        ("channels = 1, kernel = 0", "Expected int >= 1"),
        (
            "channels = 1, kernel = 3, strides = 2",
            r"unknown key 'network.conv\[0\]\.strides'; did you mean network.conv\[0\]\.stride",
        ),
        ('channels = 1, kernel = 3, pooling = "sum"', "Invalid enum value 'sum'"),
    ],
)
def test_a_malformed_convolution_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "preset.toml"
    path.write_text(f'[data]\nkind = "folder"\n[network]\nconv = [{{ {line} }}]\n')
    with pytest.raises(ConfigError, match=message):
        load_train_config(path)


@pytest.mark.parametrize(
    ("network", "spec", "message"),
    [
        (
            NetworkConfig(conv=[ConvConfig(channels=2, kernel=7)]),
            GRID,
            r"\[network\] conv1: the kernel is 7, its input of 2x6x8 with padding 0 has room for 6",
        ),
        (
            NetworkConfig(conv=[ConvConfig(2, 5), ConvConfig(2, 3)]),
            GRID,
            r"\[network\] conv2: the kernel is 3, its input of 2x2x4",
        ),
        (NetworkConfig(pool=7), GRID, r"\[network\] hidden1 pools by 7, expected 1 to 6"),
        (
            NetworkConfig(conv=[ConvConfig(2_000, 1)]),
            GRID,
            "conv1 has a map of 2000x6x8, 96,000 neurons, expected at most 65,536",
        ),
        (
            NetworkConfig(neuron="rlif", conv=[ConvConfig(400, 1)]),
            GRID,
            "conv1 is rlif with 19,200 neurons, whose V takes 1.4 GiB, expected at most 1.0 GiB",
        ),
        (
            NetworkConfig(conv=[ConvConfig(2, 1)]),
            InputSpec(ChannelSpec(20)),
            r"\[network\] conv and pool read a grid, but this data is of a channel sensor",
        ),
    ],
)
def test_a_convolution_that_does_not_fit_the_sensor_is_refused(
    network: NetworkConfig, spec: InputSpec, message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        planned_layers(network, spec, 4)


def test_a_range_may_belong_to_the_neurons_of_the_convolutions_alone() -> None:
    config = NetworkConfig(
        neuron="lif",
        conv=[ConvConfig(2, 3, neuron="adlif"), ConvConfig(2, 3)],
        ranges={"a": (0.0, 1.0)},
    )
    conv, plain, *_ = planned_layers(config, GRID, 4)
    assert (conv.ranges["a"].low, conv.ranges["a"].high) == (0.0, 1.0)
    assert "a" not in plain.ranges


def test_a_convolutional_network_learns_is_kept_and_evaluated(tmp_path: Path) -> None:
    dataset = make_dataset()
    network_config = msgspec.structs.replace(CONFIG, pooling="average", hidden=[24, 20])
    config = msgspec.structs.replace(make_config(), network=network_config)
    fit(config, dataset, tmp_path)
    network = load_network(tmp_path)
    plan = BinPlan(layout_of(network.spec.input), 10_000)
    learnt = accuracy(from_network(network), Kept(dataset), plan)
    assert learnt > 0.7
    events = [dataset[index].events for index in range(len(dataset))]
    expected = [dataset.labels[target] for target in dataset.targets]
    home, fine = evaluate(model_of(network, "m.onnx"), events, expected, [10_000, 2_000], ["auto"])
    assert home.correct == round(learnt * len(dataset))
    assert fine.correct >= 0.5 * len(dataset)
