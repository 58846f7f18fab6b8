"""What a stream goes on with when another model takes over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from retempo.exporters.resolution import Resolution
from retempo.runtime.engine import Engine, EngineState
from retempo.runtime.layout import BinLayout
from retempo.runtime.readouts import Readout


@dataclass(frozen=True, slots=True, eq=False)
class Successor:
    """A deployment's part in one stream, made before any stream moves: so all move or none.

    `state` is that of a stream that has seen nothing. With `carry` the network is the one that the
    stream has: its own state and its readout go on instead.
    """

    engine: Engine
    layout: BinLayout
    state: EngineState
    new_readout: Callable[[], Readout]
    ladder: Mapping[int, Resolution]
    carry: bool

    @property
    def dt_us(self) -> int:
        """Length of its bins."""
        return self.engine.resolution.dt_us

    def bins_as(self, layout: BinLayout, dt_us: int) -> bool:
        """Whether its bins are those of a layout and a time step."""
        ours = self.layout
        same = self.dt_us == dt_us and ours.spec == layout.spec
        return same and np.array_equal(ours.mask, layout.mask)
