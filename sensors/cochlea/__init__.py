"""A cochlea: sound to channel events, at microsecond times, however the sound is cut."""

from retempo.sensors.cochlea.coefficients import Coefficients, coefficients_of
from retempo.sensors.cochlea.hearing import hear, hear_whole
from retempo.sensors.cochlea.spec import CochleaSpec
from retempo.sensors.cochlea.state import State, new_state

__all__ = [
    "CochleaSpec",
    "Coefficients",
    "State",
    "coefficients_of",
    "hear",
    "hear_whole",
    "new_state",
]
