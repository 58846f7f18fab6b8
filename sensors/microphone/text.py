"""A microphone by its text: `mic:?device=2&rate=16000&ear=gammatone&channels=64`."""

import math
from urllib.parse import parse_qsl, urlencode

from retempo.sensors.ears.registry import DEFAULT, EarSpec, ear_of, parse, start
from retempo.sensors.errors import CochleaError, SensorError
from retempo.sensors.geometry import ChannelGeometry, Geometry
from retempo.sensors.microphone.devices import find
from retempo.sensors.microphone.source import Microphone

# The options that are not the ear's.
_OWN: tuple[str, ...] = ("device", "rate", "seconds")


def open_microphone(rest: str, geometry: Geometry | None) -> Microphone:
    """Open `mic:?device=2&rate=16000&ear=gammatone&channels=64`; what is left is the ear's own.

    Raises:
        SensorError: an option is malformed, or see `Microphone`; the device is looked up at once.
        CochleaError: the ear has no such setting, or cannot hear the rate, or not without an end.
    """
    options = _options(rest)
    if isinstance(geometry, ChannelGeometry):
        options.setdefault("channels", str(geometry.channels))
    elif geometry is not None:
        raise SensorError(f"mic:{rest} is a microphone, got the geometry {geometry}; leave it out")
    own = {name: options.pop(name) for name in _OWN if name in options}
    ear = options.pop("ear", ear_of(DEFAULT).name)
    return _microphone(rest, own, parse(f"{ear}?{urlencode(options)}"))


def hear_microphone(rest: str, ear: EarSpec) -> Microphone:
    """As `open_microphone`, by an ear that the text does not name.

    Raises:
        SensorError: the text has an option that is not the microphone's; else see there.
    """
    options = _options(rest)
    for name in options:
        if name not in _OWN:
            raise SensorError(f"mic:{rest} names {name}, and the ear is given; leave one out")
    return _microphone(rest, options, ear)


def _options(rest: str) -> dict[str, str]:
    place, _, query = rest.partition("?")
    if place:
        raise SensorError(
            f"mic:{rest} names {place!r}, expected mic: or mic:?device={place}; see retempo devices"
        )
    return dict(parse_qsl(query, keep_blank_values=True))


def _microphone(rest: str, options: dict[str, str], ear: EarSpec) -> Microphone:
    name = f"mic:{rest}"
    text = options.get("device")
    device = int(text) if text is not None and text.isdecimal() else text
    rate_hz = _number(name, options, "rate")
    found = find(name, device)
    rate_hz = found["default_samplerate"] if rate_hz is None else rate_hz
    microphone = Microphone(name, round(rate_hz), ear, device, _number(name, options, "seconds"))
    try:
        start(ear, microphone.rate_hz)
    except CochleaError as error:
        raise CochleaError(f"{name}: {error}") from error
    return microphone


def _number(name: str, options: dict[str, str], key: str) -> float | None:
    text = options.get(key)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SensorError(f"{name} has the {key} {text!r}, expected a positive number")
    return value
