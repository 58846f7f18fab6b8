"""What can go wrong between a sensor and an event chunk."""


class SensorError(Exception):
    """Base of every error of this room; its text is one line that a user can act on."""


class RecordingError(SensorError):
    """A recording cannot be opened, recognised or read to its end."""


class GeometryError(SensorError):
    """Events and the geometry they claim do not fit."""


class WireError(SensorError):
    """A wire message breaks the specification of docs/wire-format.md."""


class CochleaError(SensorError, ValueError):
    """Sound or a cochlea's settings are unfit; a ValueError too, so that a preset names the key."""


class FilterError(SensorError):
    """A filter's settings are unfit, or unfit for the sensor."""


class UnitError(SensorError):
    """A text is no duration or no sensor."""
