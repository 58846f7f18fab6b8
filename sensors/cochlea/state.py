"""What a cochlea carries from one piece of sound to the next."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.cochlea.coefficients import ORDER, Coefficients
from retempo.sensors.cochlea.erb import Floats


class State(NamedTuple):
    """The samples heard so far, and what they have left behind.

    Shapes: `level` is `(1,)`, the power that the gain follows; `filter_re` and `filter_im` are
    `(4, channels)`; `charge` is `(channels,)`, a threshold being 1; `hears_at` is `(channels,)`,
    the sample at which a channel hears again.
    """

    heard: int
    level: Floats
    filter_re: Floats
    filter_im: Floats
    charge: Floats
    hears_at: NDArray[np.int64]


def new_state(coefficients: Coefficients) -> State:
    """Return the state of a cochlea that has heard nothing."""
    channels = coefficients.channels
    return State(
        heard=0,
        level=np.full(1, coefficients.floor_power),
        filter_re=np.zeros((ORDER, channels)),
        filter_im=np.zeros((ORDER, channels)),
        charge=np.zeros(channels),
        hears_at=np.zeros(channels, np.int64),
    )


def copy_of(state: State) -> State:
    """Return a state that a kernel may write to."""
    return State(
        heard=state.heard,
        level=state.level.copy(),
        filter_re=state.filter_re.copy(),
        filter_im=state.filter_im.copy(),
        charge=state.charge.copy(),
        hears_at=state.hears_at.copy(),
    )
