"""What is asked of the Heidelberg ear, whatever the rate of the sound."""

from typing import Literal

import msgspec

from retempo.sensors.ears.ear import check_numbers
from retempo.sensors.errors import CochleaError

_MAX_CHANNELS = 65_536
_MOST_AHEAD_MS = 1_000.0
_LARGEST_SEED = 2**63 - 1


class LauscherSpec(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag="lauscher",
    tag_field="kind",
):
    """The settings of the Heidelberg ear; the anatomy is that of the publication.

    `channels` places lie evenly along the membrane, the first at its base, high notes first. A
    `recording` is brought to the root mean square `loudness` as a whole and faded in and out over
    its halves, as the data sets were; a sound without an end, `running`, by a gain that follows its
    power, within `attack_ms` as it rises and `release_ms` as it falls, and not below the root mean
    square `floor`. The published membrane answers before its sound: `ahead_ms` is how far that is
    heard, and how late the events are known. `seed` draws the spikes of the nerve.

    Raises:
        CochleaError: a number is not finite or out of its range.
    """

    channels: int = 700
    level: Literal["recording", "running"] = "recording"
    loudness: float = 0.3
    floor: float = 0.003
    attack_ms: float = 100.0
    release_ms: float = 1_000.0
    ahead_ms: float = 250.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, may_be_zero=("seed",))
        if self.channels > _MAX_CHANNELS:
            raise CochleaError(f"channels is {self.channels}, expected 1 to {_MAX_CHANNELS}")
        if self.ahead_ms > _MOST_AHEAD_MS:
            raise CochleaError(
                f"ahead_ms is {self.ahead_ms:g}, expected at most {_MOST_AHEAD_MS:g}"
            )
        if self.seed > _LARGEST_SEED:
            raise CochleaError(f"seed is {self.seed}, expected 0 to {_LARGEST_SEED}")
