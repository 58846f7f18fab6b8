"""What the Heidelberg ear carries from one piece of sound to the next."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.lauscher.coefficients import Complex, Filters, Floats
from retempo.sensors.lauscher.hair_cell import Hair, hair_at_rest


class Bushy(NamedTuple):
    """The nerve and the bushy cell of each channel.

    Shapes: `fired` `(channels, steps of a fibre's dead time)`, how many fibres fired at each of the
    last steps, as a ring; the rest `(channels,)`: `dead` its sum, `current`, `potential` with a
    threshold of 1, and `deaf`, the steps for which a cell is still deaf.
    """

    fired: NDArray[np.int64]
    dead: NDArray[np.int64]
    current: Floats
    potential: Floats
    deaf: NDArray[np.int64]


class State(NamedTuple):
    """Samples heard, the sound that still matters, and every cell.

    Shapes: `waiting` `(samples,)`, levelled samples that fill no block yet; `before` `(block,)`,
    the last whole block; `spectra` `(partitions, block + 1)`, the transforms of the last blocks,
    the newest first.
    """

    heard: int
    power: float
    waiting: Floats
    before: Floats
    spectra: Complex
    blocks: int
    steps: int
    hair: Hair
    bushy: Bushy


def new_state(filters: Filters, dead_steps: int, power: float) -> State:
    """Return the state of an ear that has heard nothing."""
    n = filters.channels
    return State(
        heard=0,
        power=power,
        waiting=np.zeros(0),
        before=np.zeros(filters.block),
        spectra=np.zeros((filters.most_parts, filters.block + 1), np.complex128),
        blocks=0,
        steps=0,
        hair=hair_at_rest(n),
        bushy=Bushy(
            fired=np.zeros((n, max(dead_steps, 1)), np.int64),
            dead=np.zeros(n, np.int64),
            current=np.zeros(n),
            potential=np.zeros(n),
            deaf=np.zeros(n, np.int64),
        ),
    )


def copy_of(state: State) -> State:
    """Return a state that the kernels may write to."""
    return state._replace(
        spectra=state.spectra.copy(),
        hair=Hair(*(array.copy() for array in state.hair)),
        bushy=Bushy(**{name: array.copy() for name, array in state.bushy._asdict().items()}),
    )
