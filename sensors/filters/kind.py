"""What a filter has to say about itself to be named in a text or a configuration."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from retempo.sensors.errors import FilterError, UnitError
from retempo.sensors.filters.stage import Filter
from retempo.sensors.units import parse_dt_us


class Settings(Protocol):
    """A table of a configuration: a msgspec struct whose tag `kind` is the filter's name."""

    def build(self, folder: Path) -> Filter:
        """The filter; paths start from `folder`. A FilterError where a setting is unfit."""
        ...


@dataclass(frozen=True, slots=True)
class FilterKind:
    """A row of the registry: `parse(argument)` reads what follows `name=`, empty without it."""

    name: str
    example: str
    settings: type[Settings]
    parse: Callable[[str], Settings]


def span_of(text: str) -> int:
    """Return the microseconds of a positive duration.

    Raises:
        FilterError: the text is none.
    """
    try:
        return parse_dt_us(text)
    except UnitError as error:
        raise FilterError(str(error)) from error


def whole(text: str, what: str) -> int:
    """Return the whole number of a text, at most nine digits.

    Raises:
        FilterError: the text is none.
    """
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise FilterError(f"{what} is a whole number, got {text!r}")
    return int(digits)
