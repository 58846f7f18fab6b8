"""The sensor of a table of events: claimed by the caller, else stated by the file, else demanded.

It is not taken from the largest addresses: those differ from one recording of a sensor to the next.
"""

from retempo.sensors.errors import RecordingError
from retempo.sensors.files.format import OpenRequest
from retempo.sensors.files.table_columns import Layout
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry


def table_geometry(request: OpenRequest, layout: Layout, stated: Geometry | None) -> Geometry:
    """Return the sensor whose events a table holds.

    Raises:
        RecordingError: nobody says its size, or it is of the other kind than the columns.
    """
    path, geometry = request.path, request.geometry or stated
    if geometry is None:
        example = "--geometry 70" if layout.channels else "--geometry 640x480"
        raise RecordingError(f"{path} states no sensor size; give its geometry, as in {example}")
    if isinstance(geometry, ChannelGeometry) == layout.channels:
        return geometry
    held = "channels" if layout.channels else "a pixel grid"
    wanted = "ChannelGeometry" if layout.channels else "GridGeometry"
    source = "given" if request.geometry is not None else "that it states"
    raise RecordingError(
        f"{path} holds events of {held}, the geometry {source} is {geometry}; give a {wanted}"
    )


def size_of(width: object, height: object, polarities: object = None) -> GridGeometry | None:
    """Return a grid from numbers of a file, None where its sides are not both there."""
    sides = [_whole(width), _whole(height)]
    return GridGeometry(sides[0], sides[1], _whole(polarities) or 2) if all(sides) else None


def _whole(value: object) -> int:
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return 0
