"""What is asked of the Speech2Spikes ear, whatever the rate of the sound."""

import msgspec

from retempo.sensors.ears.ear import check_numbers
from retempo.sensors.errors import CochleaError

_MAX_MELS = 4_096
_LONGEST_MS = 1_000.0


class Speech2SpikesSpec(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag="speech2spikes",
    tag_field="kind",
):
    """The settings of the Speech2Spikes ear; the default ones are those that it is published with.

    Every `hop_ms` the power of the last `window_ms` falls into `mels` bands, even on the mel scale
    from `low_hz` to `high_hz`, or to half the sample rate where that is lower. The natural
    logarithm of a band, of `floor` at least, fires as it has moved by more than `threshold`: band
    `m` is channel `m` upwards and channel `mels + m` downwards.

    Raises:
        CochleaError: a number is not finite or out of its range.
    """

    mels: int = 20
    window_ms: float = 32.0
    hop_ms: float = 5.0
    low_hz: float = 20.0
    high_hz: float = 4_000.0
    threshold: float = 1.0
    floor: float = 1e-6

    def __post_init__(self) -> None:
        check_numbers(self, may_be_zero=("low_hz",))
        if self.mels > _MAX_MELS:
            raise CochleaError(f"mels is {self.mels}, expected 1 to {_MAX_MELS}")
        if self.low_hz >= self.high_hz:
            raise CochleaError(
                f"low_hz is {self.low_hz:g}, expected less than high_hz, {self.high_hz:g}"
            )
        if self.hop_ms > self.window_ms or self.window_ms > _LONGEST_MS:
            raise CochleaError(
                f"hop_ms is {self.hop_ms:g} and window_ms {self.window_ms:g}, expected a hop of at "
                f"most a window, and a window of at most {_LONGEST_MS:g}"
            )
