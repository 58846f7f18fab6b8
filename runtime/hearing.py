"""The ear that a network was trained with, and whether it fits."""

import msgspec

from retempo.exporters.description import InputSpec
from retempo.runtime.errors import InputError
from retempo.runtime.layout import geometry_of
from retempo.sensors.ears.registry import EarSpec, describe, from_plain
from retempo.sensors.ears.registry import geometry_of as geometry_of_ear
from retempo.sensors.errors import CochleaError


def stated_ear(spec: InputSpec, model: str) -> EarSpec | None:
    """Return the ear that a network's contract states; None where it states none.

    Raises:
        InputError: the ear is unknown to this Retempo, or has other channels than the network.
    """
    if isinstance(spec.ear, msgspec.UnsetType):
        return None
    try:
        ear = from_plain(spec.ear)
    except CochleaError as error:
        raise InputError(f"{model} was trained with an ear that cannot be had: {error}") from error
    if geometry_of_ear(ear) != geometry_of(spec):
        raise InputError(
            f"{model} expects {geometry_of(spec)} inputs, its ear {describe(ear)} has "
            f"{geometry_of_ear(ear)}; export it again"
        )
    return ear


def agreed_ear(spec: InputSpec, model: str, asked: EarSpec | None) -> EarSpec | None:
    """Return the ear that a network states, or the one asked for where it states none.

    Raises:
        InputError: both are there and differ, or see `stated_ear`.
    """
    stated = stated_ear(spec, model)
    if stated is not None and asked is not None and stated != asked:
        raise InputError(
            f"{model} was trained with the ear {describe(stated)}, asked for is {describe(asked)}; "
            "leave the ear out"
        )
    return stated or asked


def note_of_hearing(spec: InputSpec, model: str, source: str, ear: EarSpec) -> str | None:
    """Return what a person has to know where a sound is heard by an ear that no contract states."""
    if isinstance(spec.ear, msgspec.UnsetType):
        return (
            f"{model} does not say by which ear it was trained; {source} is heard by "
            f"{describe(ear)}"
        )
    return None
