"""Steps by the frameworks for spiking networks: layers of the same sizes, by their own cells.

Their neurons are simpler than adLIF (one or two variables), which is to their advantage; their
matrices are dense, so that their time does not depend on how much is silent.
"""

import torch
from torch import nn

from benchmarks.performance.measure import Step
from benchmarks.performance.networks import Setting


def _inputs(setting: Setting) -> tuple[list[torch.Tensor], list[int]]:
    layers = setting.network.spec.layers
    sizes = [layers[0].inputs, *(layer.neurons for layer in layers)]
    return list(torch.from_numpy(setting.x).unbind()), sizes


def snntorch_rleaky(setting: Setting) -> Step:
    """snnTorch: Linear and RLeaky twice, Linear and Leaky."""
    import snntorch

    x, (n, first, second, labels) = _inputs(setting)
    f1, f2, f3 = nn.Linear(n, first), nn.Linear(first, second), nn.Linear(second, labels)
    r1 = snntorch.RLeaky(beta=0.95, linear_features=first)
    r2 = snntorch.RLeaky(beta=0.95, linear_features=second)
    out = snntorch.Leaky(beta=0.95, reset_mechanism="none")
    (s1, m1), (s2, m2), mo = r1.init_rleaky(), r2.init_rleaky(), out.init_leaky()

    def step(k: int) -> object:
        nonlocal s1, m1, s2, m2, mo
        s1, m1 = r1(f1(x[k % len(x)]), s1, m1)
        s2, m2 = r2(f2(s1), s2, m2)
        _, mo = out(f3(s2), mo)
        return mo

    return step


def norse_lif(setting: Setting) -> Step:
    """Norse: LIFRecurrentCell twice, LILinearCell."""
    import norse.torch as norse

    x, (n, first, second, labels) = _inputs(setting)
    l1, l2 = norse.LIFRecurrentCell(n, first), norse.LIFRecurrentCell(first, second)
    out = norse.LILinearCell(second, labels)
    a = b = c = None

    def step(k: int) -> object:
        nonlocal a, b, c
        spikes, a = l1(x[k % len(x)], a)
        spikes, b = l2(spikes, b)
        y, c = out(spikes, c)
        return y

    return step


def spikingjelly_lif(setting: Setting) -> Step:
    """SpikingJelly: Linear and LIFNode in a LinearRecurrentContainer twice, Linear."""
    from spikingjelly.activation_based import functional, layer, neuron

    x, (n, first, second, labels) = _inputs(setting)

    def recurrent(width: int) -> nn.Module:
        node = neuron.LIFNode(tau=20.0, step_mode="s")
        return layer.LinearRecurrentContainer(node, width, width, bias=True)

    net = nn.Sequential(
        layer.Linear(n, first),
        recurrent(first),
        layer.Linear(first, second),
        recurrent(second),
        layer.Linear(second, labels),
    ).eval()
    functional.reset_net(net)
    return lambda k: net(x[k % len(x)])
