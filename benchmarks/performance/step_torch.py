"""Steps by PyTorch: the very network in eager mode, traced and compiled."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.performance.measure import Step
from benchmarks.performance.networks import Setting
from retempo.exporters.description import LayerSpec
from retempo.exporters.network import Network


class AdLif(nn.Module):
    """One recurrent layer of adLIF, as it stands in sparch."""

    def __init__(self, layer: LayerSpec, network: Network) -> None:
        super().__init__()
        for key in ("alpha", "beta", "a", "b"):
            self.register_buffer(key, torch.tensor(layer.parameters[key]))
        assert layer.norm is not None
        self.register_buffer("one_minus_alpha", 1.0 - self.alpha)
        self.W = nn.Linear(layer.inputs, layer.neurons)
        self.V = nn.Linear(layer.neurons, layer.neurons, bias=False)
        self.W.weight.copy_(_transposed(network.weights[f"{layer.name}.W"]))
        self.W.bias.copy_(torch.tensor(layer.norm.bias))
        self.V.weight.copy_(_transposed(network.weights[f"{layer.name}.V"]))

    def forward(self, x: Tensor, u: Tensor, w: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        w = self.beta * w + self.a * u + self.b * s
        u = self.alpha * (u - s) + self.one_minus_alpha * (self.W(x) + self.V(s) - w)
        return u, w, (u > 1.0).to(x.dtype)


class Stack(nn.Module):
    """Two such layers and a leaky readout; the state goes in and out."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        first, second, readout = network.spec.layers
        self.first, self.second = AdLif(first, network), AdLif(second, network)
        self.register_buffer("kept", torch.tensor(readout.parameters["alpha"]))
        self.W = nn.Linear(readout.inputs, readout.neurons, bias=False)
        self.W.weight.copy_(_transposed(network.weights["readout.W"]))
        self.widths = [first.neurons] * 3 + [second.neurons] * 3 + [readout.neurons]

    def zeros(self, batch: int) -> list[Tensor]:
        return [torch.zeros(batch, width) for width in self.widths]

    def forward(
        self,
        x: Tensor,
        u1: Tensor,
        w1: Tensor,
        s1: Tensor,
        u2: Tensor,
        w2: Tensor,
        s2: Tensor,
        o: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        u1, w1, s1 = self.first(x, u1, w1, s1)
        u2, w2, s2 = self.second(s1, u2, w2, s2)
        o = self.kept * o + (1.0 - self.kept) * self.W(s2)
        return torch.softmax(o, -1), u1, w1, s1, u2, w2, s2, o


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread, no gradients: how every PyTorch package is measured."""
    torch.set_num_threads(1)
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    with torch.inference_mode():
        yield


def stepping(make: Callable[[Stack, Setting], nn.Module]) -> Callable[[Setting], Step]:
    """Step what is made of the network, its tensors made beforehand."""

    def maker(setting: Setting) -> Step:
        stack = Stack(setting.network).eval()
        x = torch.from_numpy(setting.x)
        inputs = list(x.unbind())
        run, state = make(stack, setting), stack.zeros(setting.batch)

        def step(k: int) -> object:
            nonlocal state
            y, *state = run(inputs[k % len(inputs)], *state)
            return y

        return step

    return maker


def traced(stack: Stack, setting: Setting) -> nn.Module:
    """Trace, freeze and optimise for inference."""
    example = (torch.from_numpy(setting.x[0]), *stack.zeros(setting.batch))
    frozen = torch.jit.freeze(torch.jit.trace(stack, example))
    module: nn.Module = torch.jit.optimize_for_inference(frozen)
    return module


def compiled(stack: Stack, _setting: Setting) -> nn.Module:
    """Inductor with its weights frozen; it needs a C++ compiler."""
    import torch._inductor.config as inductor

    inductor.freezing = True
    module: nn.Module = torch.compile(stack, dynamic=False)
    return module


EAGER = stepping(lambda stack, _: stack)
TRACED = stepping(traced)
COMPILED = stepping(compiled)


def _transposed(matrix: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(matrix.T))
