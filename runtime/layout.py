"""How the addresses of a sensor map to the inputs of a network."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retempo.exporters.description import ChannelSpec, InputSpec
from retempo.runtime.errors import InputError
from retempo.sensors.events import Addresses, EventChunk, Polarities, Times
from retempo.sensors.filters.suggest import filters_to
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

Bins = NDArray[np.float32]
Index = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class BinLayout:
    """How the addresses of a sensor map to the inputs of a network.

    Input of an event: `columns[x] + rows[2 * y + on]`. A channel sensor is a grid of one row and
    one polarity. `mask[y, x]` switches an address off; an empty mask switches none.

    Shapes: `columns` `(width,)`, `rows` `(2 * height,)`, `mask` `(height, width)` or `(0, 0)`.
    """

    columns: Index
    rows: Index
    inputs: int
    mask: Mask
    spec: InputSpec

    @property
    def height(self) -> int:
        """How many rows the sensor has."""
        return len(self.rows) // 2

    @property
    def arrays(self) -> tuple[Index, Index, Mask]:
        """What the kernel takes of it, in its order."""
        return self.columns, self.rows, self.mask


class Columns(NamedTuple):
    """The columns of a chunk as the kernel takes them, whatever the sensor."""

    t_us: Times
    x: Addresses
    y: Addresses
    on: Polarities


def layout_of(spec: InputSpec, mask: Mask | None = None) -> BinLayout:
    """Return the layout of a network's input.

    Args:
        spec: the input of the contract.
        mask: True at the addresses to switch off, `(height, width)` or `(channels,)`.

    Raises:
        InputError: the mask has another shape.
    """
    width, height, polarities = _sides(spec)
    step = spec.downsample
    reduced_width, reduced_height = -(-width // step), -(-height // step)
    if mask is None:
        mask = np.zeros((0, 0), np.bool_)
    elif mask.shape in ((height, width), (width,)):
        mask = np.ascontiguousarray(mask.reshape(height, width))
    else:
        raise InputError(f"the mask has the shape {mask.shape}, the sensor {(height, width)}")
    plane = reduced_width * reduced_height if polarities == 2 else 0
    rows = np.arange(height) // step * reduced_width
    return BinLayout(
        columns=(np.arange(width) // step).astype(np.int32),
        rows=np.stack([rows, rows + plane], axis=1).reshape(-1).astype(np.int32),
        inputs=spec.size,
        mask=mask,
        spec=spec,
    )


def geometry_of(spec: InputSpec) -> Geometry:
    """Return the sensor that a network's input asks for."""
    if isinstance(spec.geometry, ChannelSpec):
        return ChannelGeometry(spec.geometry.channels)
    grid = spec.geometry
    return GridGeometry(grid.width, grid.height, grid.polarities)


def check_geometry(spec: InputSpec, geometry: Geometry, source: str, model: str) -> None:
    """Check that a source, as it leaves its filters, has the sensor that a model expects.

    Raises:
        InputError: it has another; the text names the filters that would fit it, if there are any.
    """
    wanted = geometry_of(spec)
    if geometry != wanted:
        fitting = filters_to(wanted, geometry)
        noun = "filter" if len(fitting) == 1 else "filters"
        among = f"the {noun} {' and '.join(fitting)}, " if fitting else ""
        raise InputError(
            f"{model} expects {wanted} inputs, {source} is {geometry}; "
            f"use {among}a recording of that sensor, or a model trained for this one"
        )


def columns_of(chunk: EventChunk) -> Columns:
    """Return a chunk's columns; a channel sensor becomes a grid of one row and one polarity."""
    if chunk.channel is not None:
        nothing = np.zeros(len(chunk), np.uint16)
        return Columns(chunk.t_us, chunk.channel, nothing, nothing.astype(np.bool_))
    assert chunk.x is not None  # noqa: S101  (EventChunk has checked it)
    assert chunk.y is not None  # noqa: S101
    assert chunk.on is not None  # noqa: S101
    return Columns(chunk.t_us, chunk.x, chunk.y, chunk.on)


def inside(columns: Columns, layout: BinLayout) -> Polarities:
    """Return which events lie on the sensor, `(events,)`."""
    return (columns.x < len(layout.columns)) & (columns.y < layout.height)


def _sides(spec: InputSpec) -> tuple[int, int, int]:
    if isinstance(spec.geometry, ChannelSpec):
        return spec.geometry.channels, 1, 1
    return spec.geometry.width, spec.geometry.height, spec.geometry.polarities
