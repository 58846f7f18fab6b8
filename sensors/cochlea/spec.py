"""What a cochlea is asked to be, whatever the rate of the sound."""

import msgspec

from retempo.sensors.ears.ear import check_numbers
from retempo.sensors.errors import CochleaError

_MAX_CHANNELS = 65_536


class CochleaSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of a cochlea; docs/cochlea.md has the equations.

    `channels` centre frequencies lie evenly on the ERB scale from `low_hz` to `high_hz`, or to 0.45
    of the sample rate where that is lower. The sound is brought to the root mean square `level` by
    a gain that follows its power, within `attack_ms` as it rises and `release_ms` as it falls; what
    is below the root mean square `floor` is amplified no further. The half-wave of a channel to the
    power `exponent` charges its neuron by `charge_hz` thresholds a second, which leaks `leak_hz`
    thresholds a second, and after a spike is deaf for `refractory_ms`. Full scale of sound is 1.

    Raises:
        CochleaError: a number is not finite or out of its range.
    """

    channels: int = 700
    low_hz: float = 80.0
    high_hz: float = 8_000.0
    level: float = 0.1
    floor: float = 0.003
    attack_ms: float = 100.0
    release_ms: float = 1_000.0
    exponent: float = 0.5
    charge_hz: float = 1_600.0
    leak_hz: float = 40.0
    refractory_ms: float = 2.0

    def __post_init__(self) -> None:
        check_numbers(self, may_be_zero=("leak_hz", "refractory_ms"))
        if self.channels > _MAX_CHANNELS:
            raise CochleaError(f"channels is {self.channels}, expected 1 to {_MAX_CHANNELS}")
        if self.low_hz >= self.high_hz:
            raise CochleaError(
                f"low_hz is {self.low_hz:g}, expected less than high_hz, {self.high_hz:g}"
            )
        if self.exponent > 1:
            raise CochleaError(f"exponent is {self.exponent:g}, expected at most 1, no compression")
