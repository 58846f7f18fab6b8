"""Every filter by its name; a new one is a file and a line here."""

from typing import TYPE_CHECKING, TypeAlias, Union

from retempo.sensors.filters import (
    background,
    crop,
    downsample,
    flip,
    hot_pixels,
    merge_polarity,
    polarity,
    rate_cap,
    refractory,
    rotate,
)
from retempo.sensors.filters.kind import FilterKind, Settings

FILTERS: dict[str, FilterKind] = {
    kind.name: kind
    for kind in (
        crop.KIND,
        downsample.KIND,
        flip.KIND,
        rotate.KIND,
        polarity.KIND,
        merge_polarity.KIND,
        hot_pixels.KIND,
        refractory.KIND,
        background.KIND,
        rate_cap.KIND,
    )
}

# A table of any filter, told apart by its key `kind`: a type for msgspec, made of the registry.
if TYPE_CHECKING:
    AnySettings: TypeAlias = Settings
else:
    AnySettings = Union[tuple(kind.settings for kind in FILTERS.values())]  # noqa: UP007
