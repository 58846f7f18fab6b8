"""A connection in torch, over all steps of a packed batch at once, and what its layer shares.

The neurons of a map share their channel's parameters and norm. A module holds one value a channel;
a description holds one a neuron.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from retempo.exporters.connections import Connection, Conv2dSpec, positions
from retempo.training.errors import TrainingError


def product(connection: Connection, W: Tensor, x: Tensor) -> Tensor:
    """Return `W in`, the twin of `retempo.exporters.connections.product`.

    Shapes: `x` `(steps, inputs)`, the result `(steps, neurons)`.
    """
    if connection.shape is not None:
        x = x.view(len(x), *connection.shape)
    if connection.pool is not None:
        average = connection.pool.kind == "average"
        pool = nn.functional.avg_pool2d if average else nn.functional.max_pool2d
        x = pool(x, connection.pool.window)
    if isinstance(connection, Conv2dSpec):
        x = nn.functional.conv2d(x, W, stride=connection.stride, padding=connection.padding)
        return x.flatten(1)
    return x.flatten(1) @ W


def normalised(norm: nn.BatchNorm1d, connection: Connection, z: Tensor) -> Tensor:
    """Return the batch norm of the product, its statistics over steps and the points of a map.

    Shapes: `z` and the result `(steps, neurons)`.
    """
    points = positions(connection)
    if points == 1:
        return norm(z)  # type: ignore[no-any-return]
    return norm(z.view(len(z), -1, points)).flatten(1)  # type: ignore[no-any-return]


def to_neurons(connection: Connection, values: Tensor) -> Tensor:
    """Return one value a neuron from one a channel; their gradients add up."""
    return values.repeat_interleave(positions(connection))


def to_channels(name: str, connection: Connection, values: Sequence[float]) -> Tensor:
    """Return one value a channel from one a neuron.

    Raises:
        TrainingError: a channel has several; `name` is for the message.
    """
    points = np.array(values).reshape(-1, positions(connection))
    if (points != points[:, :1]).any():
        channel = int((points != points[:, :1]).any(1).argmax())
        raise TrainingError(
            f"{name} differs within channel {channel}; the neurons of a map that is trained here "
            "share their channel's"
        )
    return torch.from_numpy(points[:, 0].copy())
