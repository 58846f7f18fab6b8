"""Tensors that lie one behind the other in one vector, so that one copy moves them all."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import numpy as np

from retempo.exporters.contract import StateSpec
from retempo.runtime.engine import Vector
from retempo.runtime.engines.saved import shape_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a state's tensor lies in the vector of one stream: from `begin`, with the batch axis.

    In the vector of a batch each tensor is as many times longer, and begins as many times later.
    """

    spec: StateSpec
    begin: int

    @property
    def name(self) -> str:
        """The state's name in the contract."""
        return self.spec.name

    @property
    def size(self) -> int:
        """How many numbers it holds of each stream."""
        return prod(side for side in self.spec.shape if side != -1)

    def of(self, flat: Vector, batch: int) -> Vector:
        """Return the view of it in vectors of a batch: `flat` `(..., batch * width)`."""
        part = flat[..., self.begin * batch : (self.begin + self.size) * batch]
        return part.reshape(*flat.shape[:-1], *shape_of(self.spec, batch))


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of several states, `width` numbers a stream."""

    places: tuple[Place, ...]
    width: int

    def zeros(self, batch: int) -> Vector:
        """Return the vector of a batch."""
        return np.zeros(self.width * batch, np.float32)

    def gather(self, rows: Vector, flat: Vector, batch: int) -> None:
        """Write the vectors of single streams into the vectors of a batch, zeros behind them.

        Shapes: `rows` `(streams, ..., width)`; `flat` `(..., width * batch)`.
        """
        for place in self.places:
            many = self._by_stream(place, flat, batch)
            many[: len(rows)] = place.of(rows, 1).reshape(many[: len(rows)].shape)
            many[len(rows) :] = 0.0

    def scatter(self, flat: Vector, rows: Vector, batch: int) -> None:
        """Write the first streams of a batch as vectors of single streams, as `gather` has them."""
        for place in self.places:
            many = self._by_stream(place, flat, batch)[: len(rows)]
            place.of(rows, 1).reshape(many.shape)[...] = many

    def _by_stream(self, place: Place, flat: Vector, batch: int) -> Vector:
        """Return the view of a state in vectors of a batch, the streams foremost."""
        axis = flat.ndim - 1 + place.spec.shape.index(-1)
        return np.moveaxis(place.of(flat, batch), axis, 0)


def layout_of(specs: Iterable[StateSpec]) -> Layout:
    """Lay states one behind the other."""
    places: list[Place] = []
    end = 0
    for spec in specs:
        places.append(Place(spec, end))
        end += places[-1].size
    return Layout(tuple(places), end)
