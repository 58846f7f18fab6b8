"""A model as the flat arrays that the kernel walks through: a table of layers and two arenas.

The coefficients of a layer are folded: `i = gain (W in) + bias` enters a variable as `F i`, so the
kernel multiplies the bare sum `W in` by `F gain` and adds `F bias`.
"""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.connections import Conv2dSpec, output_shape, pooled_shape
from retempo.exporters.description import LayerSpec, connection_of
from retempo.exporters.network import Network
from retempo.exporters.neurons import neuron_named
from retempo.exporters.resolution import LayerResolution, Resolution
from retempo.runtime.engines.sparse.aligned import aligned
from retempo.runtime.engines.sparse.upswings import UPSWINGS
from retempo.runtime.errors import EngineError

Floats = NDArray[np.float32]
Table = NDArray[np.int64]

# The columns of the table of layers: sizes, then where the layer's part of each arena begins.
(
    INPUTS,  # after pooling
    NEURONS,
    VARIABLES,
    SPIKING,
    RECURRENT,
    UPSWING,  # 1 + its place in `upswings.UPSWINGS`, 0 where there is none
    W_AT,
    V_AT,
    COEFFICIENTS_AT,
    STATE_AT,
    SPIKES_AT,
    POOL,  # the side of a window, 0 without pooling
    POOL_MAX,
    GRID_ROWS,  # before pooling
    GRID_COLUMNS,
    CONVOLVED,
    CHANNELS_IN,
    ROWS_IN,
    COLUMNS_IN,
    CHANNELS_OUT,
    ROWS_OUT,
    COLUMNS_OUT,
    KERNEL,
    STRIDE,
    PADDING,
    FIELDS,
) = range(26)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """What no resolution changes: the table of layers and the weights.

    Shapes: `layers` `(layers, FIELDS)`, `weights` flat: per layer `W` as `(inputs, neurons)`, that
    of a convolution as `(channels in, kernel, kernel, channels out)`, then `V`.
    """

    layers: Table
    weights: Floats

    @property
    def state_size(self) -> int:
        """How many state variables a stream has."""
        return int((self.layers[:, VARIABLES] * self.layers[:, NEURONS]).sum())

    @property
    def spiking(self) -> int:
        """How many neurons can spike."""
        return int((self.layers[:, SPIKING] * self.layers[:, NEURONS]).sum())

    @property
    def widest(self) -> int:
        """The most inputs, neurons or, of the readout, variables of a layer."""
        readout = self.layers[-1]
        sides = self.layers[:, [INPUTS, NEURONS]].max()
        return int(max(sides, readout[NEURONS] * readout[VARIABLES]))

    @property
    def labels(self) -> int:
        """How many neurons the readout has."""
        return int(self.layers[-1, NEURONS])


def program_of(network: Network) -> Program:
    """Lay a network out."""
    layers = np.zeros((len(network.spec.layers), FIELDS), np.int64)
    weights: list[Floats] = []
    w_at = coefficients_at = state_at = spikes_at = 0
    for row, layer in zip(layers, network.spec.layers, strict=True):
        neuron = neuron_named(layer.neuron)
        _describe(row, layer)
        row[[W_AT, COEFFICIENTS_AT, STATE_AT, SPIKES_AT]] = (
            w_at,
            coefficients_at,
            state_at,
            spikes_at,
        )
        W = network.weights[f"{layer.name}.W"]
        if row[CONVOLVED]:
            W = W.transpose(1, 2, 3, 0)
        weights.append(W.reshape(-1))
        row[V_AT] = w_at + W.size
        if neuron.recurrent:
            weights.append(network.weights[f"{layer.name}.V"].reshape(-1))
        w_at = sum(each.size for each in weights)
        coefficients_at += coefficient_rows(row) * layer.neurons
        state_at += neuron.variables * layer.neurons
        spikes_at += layer.neurons if neuron.spiking else 0
    return Program(layers, aligned(np.concatenate(weights).astype(np.float32)))


def coefficient_rows(row: Table) -> int:
    """How many coefficients each neuron of a layer has; see `coefficients_of`."""
    variables = int(row[VARIABLES])
    return variables * variables + (5 if row[UPSWING] else 4) * variables + 1


def coefficients_of(program: Program, resolution: Resolution) -> Floats:
    """Return the coefficients of a resolution, flat.

    Per layer one row of neurons each for `A[0, 0]`, `A[0, 1]`, ..., then a row a variable of
    `F gain`, `F bias`, `G` and `R`, then `threshold`; then, where there is an upswing, a row a
    variable of `N`.
    """
    rows = [
        np.concatenate(_rows_of(row, layer))
        for row, layer in zip(program.layers, resolution.layers, strict=True)
    ]
    return aligned(np.concatenate(rows).astype(np.float32))


def _rows_of(row: Table, layer: LayerResolution) -> list[NDArray[np.float64]]:
    neurons = int(row[NEURONS])
    parts = [layer.A, layer.F * layer.gain, layer.F * layer.bias, layer.G, layer.R, layer.threshold]
    if layer.N is not None:
        parts.append(layer.N)
    return [np.asarray(part, np.float64).reshape(-1, neurons).reshape(-1) for part in parts]


def _describe(row: Table, layer: LayerSpec) -> None:
    neuron, connection = neuron_named(layer.neuron), connection_of(layer)
    pooled = pooled_shape(connection)
    row[INPUTS] = prod(pooled) if pooled else layer.inputs
    row[NEURONS] = layer.neurons
    row[VARIABLES] = neuron.variables
    row[SPIKING] = neuron.spiking
    row[RECURRENT] = neuron.recurrent
    if neuron.upswing is not None:
        if neuron.upswing not in UPSWINGS:
            raise EngineError(
                f"the engine sparse compiles the upswings that are registered when it is imported; "
                f"{neuron.name} came later: add it in exporters/neurons, or use the engine onnx"
            )
        row[UPSWING] = UPSWINGS.index(neuron.upswing) + 1
    if connection.shape is not None and connection.pool is not None:
        row[POOL] = connection.pool.window
        row[POOL_MAX] = connection.pool.kind == "max"
        row[[GRID_ROWS, GRID_COLUMNS]] = connection.shape[1:]
    if pooled is not None:
        row[[CHANNELS_IN, ROWS_IN, COLUMNS_IN]] = pooled
    if isinstance(connection, Conv2dSpec):
        row[CONVOLVED] = 1
        row[[CHANNELS_OUT, ROWS_OUT, COLUMNS_OUT]] = output_shape(connection) or ()
        row[[KERNEL, STRIDE, PADDING]] = connection.kernel, connection.stride, connection.padding
