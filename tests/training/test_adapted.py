"""Torch and the runtime decide alike at any resolution: lag, inner steps and all."""

import numpy as np
import pytest
import torch

from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.engines import load_engine
from retempo.training.adapted import run_adapted
from tests.builders import make_inputs, make_network

# One of each kind; two recurrent nonlinear layers would turn rounding into other spikes.
NEURONS = ("rlif", "radlif", "rcubalif", "se_radlif", "adex", "izhikevich")

BINS, BATCH = 30, 12


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize(
    ("dt_us", "method"),
    [
        (10_000, "none"),
        (1_000, "lag"),
        (3_183, "lag"),
        (40_000, "substep"),
        (25_000, "substep"),
        (31_416, "auto"),
        (20_000, "integral"),
        (4_000, "impulse"),
    ],
)
def test_the_exported_step_decides_as_torch_does(neuron: str, dt_us: int, method: str) -> None:
    network = make_network(neuron, (24, 16), seed=5, stable=True)
    resolution = resolve(network.spec, dt_us, method)
    x = make_inputs(network, BINS, BATCH, seed=6) * np.float32(max(1.0, dt_us / 10_000))
    with torch.inference_mode():
        by_torch = run_adapted(network, resolution, torch.from_numpy(x)).numpy()
    model = parse_step(build_step(network, resolution).SerializeToString(), "m.onnx")
    engine = load_engine(model, name="onnx")
    state = engine.new_state(BATCH)
    by_runtime, spikes = [], 0.0
    for bin_ in x:
        state.x[:] = bin_
        by_runtime.append(engine.step(state).copy())
        spikes += sum(float(fired.sum()) for fired in engine.spikes(state).values())
    assert spikes > 50
    decided = by_torch.mean(axis=0), np.mean(by_runtime, axis=0)
    # A spike at the threshold may fall either way and sends its stream elsewhere.
    alike = np.abs(decided[0] - decided[1]).max(axis=1) < 1e-4
    assert alike.sum() >= BATCH - 2
    np.testing.assert_array_equal(
        decided[0].argmax(axis=1)[alike], decided[1].argmax(axis=1)[alike]
    )
