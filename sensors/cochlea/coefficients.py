"""A cochlea's numbers at one sample rate."""

import math
from typing import NamedTuple

import numpy as np

from retempo.sensors.cochlea.erb import Floats, bandwidth_hz, centres_hz
from retempo.sensors.cochlea.spec import CochleaSpec
from retempo.sensors.ears.ear import check_rate
from retempo.sensors.ears.level import share
from retempo.sensors.errors import CochleaError

ORDER = 4
# The share of its equivalent rectangular bandwidth that a gammatone of order 4 decays by.
_DECAY = 1.019
# Closer to the Nyquist frequency a filter's image folds into its own band.
_HIGHEST = 0.45
# Times are whole microseconds and samples must not share one.
_RATES_HZ = (1_000, 1_000_000)


class Coefficients(NamedTuple):
    """What the kernels take; see docs/cochlea.md.

    Shapes: `pole_re`, `pole_im` and `gain` are `(channels,)`. Units: `attack` and `release` are
    shares a sample, `charge` and `leak` thresholds a sample, `deaf` samples.
    """

    rate_hz: int
    pole_re: Floats
    pole_im: Floats
    gain: Floats
    level: float
    floor_power: float
    attack: float
    release: float
    exponent: float
    charge: float
    leak: float
    deaf: int

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return len(self.gain)


def coefficients_of(spec: CochleaSpec, rate_hz: int) -> Coefficients:
    """Return the numbers of a cochlea that hears sound at a rate.

    A pole `p = exp((-2 pi 1.019 ERB(f) + 2 pi i f) / rate)` four times over makes channel `f`; its
    gain `2 (1 - |p|)^4` lets a tone at `f` through as it is.

    Raises:
        CochleaError: the rate is out of range, or half of it is below the lowest channel.
    """
    check_rate(rate_hz, *_RATES_HZ)
    high_hz = min(spec.high_hz, _HIGHEST * rate_hz)
    if spec.low_hz >= high_hz:
        raise CochleaError(
            f"sound at {rate_hz} Hz reaches up to {high_hz:g} Hz, below the lowest channel, low_hz "
            f"{spec.low_hz:g}; lower low_hz or record at a higher rate"
        )
    frequency_hz = centres_hz(spec.channels, spec.low_hz, high_hz)
    radius = np.exp(-2.0 * math.pi * _DECAY * bandwidth_hz(frequency_hz) / rate_hz)
    angle = 2.0 * math.pi * frequency_hz / rate_hz
    return Coefficients(
        rate_hz=rate_hz,
        pole_re=radius * np.cos(angle),
        pole_im=radius * np.sin(angle),
        gain=2.0 * (1.0 - radius) ** ORDER,
        level=spec.level,
        floor_power=spec.floor**2,
        attack=share(spec.attack_ms, rate_hz),
        release=share(spec.release_ms, rate_hz),
        exponent=spec.exponent,
        charge=spec.charge_hz / rate_hz,
        leak=spec.leak_hz / rate_hz,
        deaf=max(1, round(spec.refractory_ms * 1e-3 * rate_hz)),
    )
