"""The ears that are known, and the plain data by which files and texts name one."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from retempo.sensors.cochlea.hearing import EAR as GAMMATONE
from retempo.sensors.cochlea.spec import CochleaSpec
from retempo.sensors.ears.ear import Ear, Hearing, Whole
from retempo.sensors.errors import CochleaError
from retempo.sensors.geometry import ChannelGeometry
from retempo.sensors.lauscher.hearing import EAR as LAUSCHER
from retempo.sensors.lauscher.spec import LauscherSpec
from retempo.sensors.speech2spikes.hearing import EAR as SPEECH2SPIKES
from retempo.sensors.speech2spikes.spec import Speech2SpikesSpec

EarSpec = CochleaSpec | LauscherSpec | Speech2SpikesSpec

EARS: tuple[Ear[Any], ...] = (GAMMATONE, LAUSCHER, SPEECH2SPIKES)
DEFAULT: EarSpec = CochleaSpec()

_NAME = "kind"


def ear_of(spec: EarSpec) -> Ear[Any]:
    """Return the ear that settings are of."""
    return next(ear for ear in EARS if ear.spec is type(spec))


def geometry_of(spec: EarSpec) -> ChannelGeometry:
    """Return the channels of an ear."""
    return ChannelGeometry(ear_of(spec).channels(spec))


def start(spec: EarSpec, rate_hz: int, whole: Whole | None = None) -> Hearing[Any]:
    """Return an ear at a sample rate.

    Args:
        spec: its settings.
        rate_hz: of the sound.
        whole: what is known of the whole sound, None where it has not ended; see `wants_whole`.

    Raises:
        CochleaError: the rate is out of range, or the ear cannot hear a sound without an end.
    """
    return ear_of(spec).hearing(spec, rate_hz, whole)


def wants_whole(spec: EarSpec) -> bool:
    """Whether an ear has to know a sound's length and loudness before it hears it."""
    return ear_of(spec).wants_whole(spec)


def with_channels(spec: EarSpec, channels: int) -> EarSpec:
    """Return an ear of the same kind with as many channels.

    Raises:
        CochleaError: the ear cannot have so many.
    """
    if isinstance(spec, Speech2SpikesSpec):
        if channels % 2:
            raise CochleaError(f"speech2spikes has an even number of channels, not {channels}")
        return msgspec.structs.replace(spec, mels=channels // 2)
    return msgspec.structs.replace(spec, channels=channels)


def plain(spec: EarSpec) -> dict[str, str | int | float]:
    """Return an ear as plain data: its `kind` and every setting, also those left at their default.

    What a default is may change; what a network was trained with may not.
    """
    return {_NAME: ear_of(spec).name, **msgspec.structs.asdict(spec)}


def from_plain(content: Mapping[str, object]) -> EarSpec:
    """Return the ear of plain data; settings left out are the default ones.

    Raises:
        CochleaError: no `kind`, or an unknown one; or a setting is unknown, of another type or out
            of range.
    """
    name = content.get(_NAME)
    ear = next((ear for ear in EARS if ear.name == name), None)
    if ear is None:
        raise CochleaError(f"the ear {name!r} is unknown, expected {_names()}")
    settings = {key: value for key, value in content.items() if key != _NAME}
    _check_keys(ear, settings)
    if ear.spec is not CochleaSpec:
        settings[_NAME] = ear.name
    try:
        return msgspec.convert(settings, ear.spec)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        reason = str(error).replace("`", "").replace("$.", "")
        raise CochleaError(f"the ear {ear.name}: {reason}") from error


def parse(text: str) -> EarSpec:
    """Return the ear of a text, `gammatone`, `lauscher?channels=70&level=running`.

    Raises:
        CochleaError: as `from_plain`, or a setting is given twice or without a value.
    """
    name, _, query = text.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    if len(dict(pairs)) < len(pairs):
        raise CochleaError(f"the ear {text} names a setting twice, expected each once")
    if _NAME in dict(pairs):
        raise CochleaError(f"the ear {text} names a kind as a setting; write it first, {_names()}")
    return from_plain({_NAME: name, **{key: _value(value) for key, value in pairs}})


def describe(spec: EarSpec) -> str:
    """Return the text of an ear: its name, and the settings that are not the default ones."""
    usual = type(spec)()
    own = {
        name: value
        for name, value in msgspec.structs.asdict(spec).items()
        if value != getattr(usual, name)
    }
    query = "&".join(
        f"{name}={value:.12g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in own.items()
    )
    return f"{ear_of(spec).name}?{query}" if query else ear_of(spec).name


def _value(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _check_keys(ear: Ear[Any], settings: Mapping[str, object]) -> None:
    known = ear.spec.__struct_fields__
    for key in settings:
        if key not in known:
            raise CochleaError(
                f"the ear {ear.name} has no setting {key!r}; it has {', '.join(known)}"
            )


def _names() -> str:
    return " or ".join([", ".join(ear.name for ear in EARS[:-1]), EARS[-1].name])
