"""Which filters bring one sensor to another, for the text of an error."""

from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry


def filters_to(wanted: Geometry, geometry: Geometry) -> tuple[str, ...]:
    """Return the texts of the filters that make `wanted` of a sensor of `geometry`.

    Empty where they are equal, or where no filter can: a sensor of the other kind, or one that is
    too small. Of a larger grid, squares of the largest factor that fits are taken from its middle.
    """
    if isinstance(wanted, ChannelGeometry) and isinstance(geometry, ChannelGeometry):
        if wanted.channels >= geometry.channels:
            return ()
        return (f"crop=0,{wanted.channels}",)
    if not (isinstance(wanted, GridGeometry) and isinstance(geometry, GridGeometry)):
        return ()
    merged = ("merge-polarity",) if wanted.polarities < geometry.polarities else ()
    if wanted.polarities > geometry.polarities:
        return ()
    if (wanted.width, wanted.height) == (geometry.width, geometry.height):
        return merged
    if (wanted.width, wanted.height) == (geometry.height, geometry.width):
        return ("rotate=90", *merged)
    whole = max(-(-geometry.width // wanted.width), -(-geometry.height // wanted.height))
    sides = -(-geometry.width // whole), -(-geometry.height // whole)
    if sides == (wanted.width, wanted.height):
        return (f"downsample={whole}", *merged)
    factor = min(geometry.width // wanted.width, geometry.height // wanted.height)
    if factor == 0:
        return ()
    width, height = wanted.width * factor, wanted.height * factor
    x, y = (geometry.width - width) // 2, (geometry.height - height) // 2
    shrunk = (f"downsample={factor}",) if factor > 1 else ()
    return (f"crop={x},{y},{width}x{height}", *shrunk, *merged)
