"""Durations and sensors as people write them, at the edges only."""

import re
from decimal import Decimal

from retempo.sensors.errors import UnitError
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

UNITS_US = {"us": Decimal(1), "ms": Decimal(1_000), "s": Decimal(1_000_000)}
_LONGEST_US = 86_400_000_000
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(us|ms|s)")


def parse_duration_us(text: str) -> int:
    """Return the microseconds of `1ms`, `2.5ms`, `500us` or `0s`.

    Raises:
        UnitError: the text is no duration, or no whole number of microseconds.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise UnitError(f"{text!r} is no duration; write 1ms, 2.5ms, 500us or 2s")
    duration_us = Decimal(match[1]) * UNITS_US[match[2]]
    if duration_us > _LONGEST_US:
        raise UnitError(f"{text!r} is too long; a duration here is at most a day, 86400s")
    if duration_us != duration_us.to_integral_value():
        raise UnitError(
            f"{text!r} is {duration_us} us; times are whole microseconds, so write 1us, 2us or more"
        )
    return int(duration_us)


def parse_dt_us(text: str) -> int:
    """Return the microseconds of a time step, or of any span that cannot be nothing.

    Raises:
        UnitError: as `parse_duration_us`, or the step is zero.
    """
    dt_us = parse_duration_us(text)
    if dt_us < 1:
        raise UnitError(f"expected a positive multiple of 1 us, got {text!r}")
    return dt_us


def format_duration(duration_us: float) -> str:
    """Return `2.5 ms` for 2500, in the unit that reads best."""
    for unit, size_us in (("s", 1e6), ("ms", 1e3)):
        if abs(duration_us) >= size_us:
            return f"{duration_us / size_us:.4g} {unit}"
    return f"{duration_us:.4g} us"


def parse_geometry(text: str) -> Geometry:
    """Return the sensor of `346x260` or `34x34x2`, or the row of channels of `70`.

    Raises:
        UnitError: the text is no sensor.
    """
    if re.fullmatch(r"[0-9]{1,5}", text.strip()):
        return ChannelGeometry(int(text))
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})(?:x([12]))?", text.strip())
    if match is None:
        raise UnitError(
            f"{text!r} is no sensor; write WIDTHxHEIGHT, such as 346x260, or channels: 70"
        )
    return GridGeometry(int(match[1]), int(match[2]), int(match[3] or 2))
