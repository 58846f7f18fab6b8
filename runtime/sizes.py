"""Sizes in bytes as people write them."""

import re
from decimal import Decimal

from retempo.runtime.errors import ConfigError

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?(B|KiB|MiB|GiB|TiB)")


def parse_bytes(text: str) -> int:
    """Return the bytes of `4GiB`, `1.5MiB` or `512B`.

    Raises:
        ConfigError: the text is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{text!r} is no size; write 512B, 64KiB, 1.5MiB or 4GiB")
    return int(Decimal(match[1]) * _UNITS[match[2]])
