"""Durations and sensors of a configuration or a command line: those of `sensors.units`."""

from collections.abc import Callable
from typing import TypeVar

from retempo.runtime.errors import ConfigError
from retempo.sensors import units
from retempo.sensors.errors import UnitError
from retempo.sensors.geometry import Geometry

__all__ = ["format_duration", "parse_dt_us", "parse_duration_us", "parse_geometry"]

T = TypeVar("T")

format_duration = units.format_duration


def parse_duration_us(text: str) -> int:
    """As `sensors.units.parse_duration_us`; its complaint is a ConfigError."""
    return _configured(units.parse_duration_us, text)


def parse_dt_us(text: str) -> int:
    """As `sensors.units.parse_dt_us`; its complaint is a ConfigError."""
    return _configured(units.parse_dt_us, text)


def parse_geometry(text: str) -> Geometry:
    """As `sensors.units.parse_geometry`; its complaint is a ConfigError."""
    return _configured(units.parse_geometry, text)


def _configured(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except UnitError as error:
        raise ConfigError(str(error)) from error
