"""The text of a live source taken apart: `//HOST:PORT?key=value&key=value`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from retempo.sensors.errors import GeometryError, SensorError
from retempo.sensors.geometry import GridGeometry

T = TypeVar("T", bound=str)
Reader = Callable[[str], Any]

_ADDRESS = re.compile(r"//(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s/:?\[\]]*):(?P<port>[0-9]{1,5})/?")
_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; an empty host is every address of this machine."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def read_address(text: str, example: str) -> Address:
    """Return the address of `//HOST:PORT`.

    Raises:
        SensorError: it is none.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > _LAST_PORT:
        raise SensorError(
            f"{text!r} is no address, expected //HOST:PORT with a port up to {_LAST_PORT}, as in "
            f"{example}"
        )
    return Address(found["host"].strip("[]"), int(found["port"]))


def read_options(
    query: str, readers: Mapping[str, Reader], example: str, others: Reader | None = None
) -> dict[str, Any]:
    """Return the options of a query; `readers` turn each one's text into its value.

    `others` reads those that have no reader of their own; without it they are unknown.

    Raises:
        SensorError: an unknown option, one given twice, or a value that its reader refuses.
    """
    options: dict[str, Any] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        reader = readers.get(name, others)
        if reader is None:
            near = get_close_matches(name, readers, 1)
            meant = f"did you mean {near[0]}?" if near else f"expected {', '.join(sorted(readers))}"
            raise SensorError(f"the option {name!r} is unknown, {meant} (as in {example})")
        if name in options:
            raise SensorError(f"the option {name} is given twice; give it once")
        try:
            options[name] = reader(text)
        except (ValueError, GeometryError) as error:
            raise SensorError(f"the option {name}={text} is unfit: {error}") from error
    return options


def size(text: str) -> GridGeometry:
    """Read `640x480`."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("expected WIDTHxHEIGHT, as in size=640x480")
    return GridGeometry(int(found[1]), int(found[2]))


def one_of(*choices: T) -> Callable[[str], T]:
    """Read one of several words."""

    def read(text: str) -> T:
        for choice in choices:
            if text == choice:
                return choice
        raise ValueError(f"expected {' or '.join(choices)}")

    return read


def whole(least: int, most: int) -> Callable[[str], int]:
    """Read a whole number."""

    def read(text: str) -> int:
        if re.fullmatch(r"-?[0-9]{1,18}", text) is None or not least <= int(text) <= most:
            raise ValueError(f"expected a whole number from {least} to {most}")
        return int(text)

    return read
