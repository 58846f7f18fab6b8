"""Filters on event streams: one file a filter, one line of `registry.FILTERS` each."""

from retempo.sensors.filters.parse import build_filters, parse_filter
from retempo.sensors.filters.stage import (
    Chain,
    Filter,
    Filtered,
    apply_filters,
    compile_filters,
    geometry_after,
)

__all__ = [
    "Chain",
    "Filter",
    "Filtered",
    "apply_filters",
    "build_filters",
    "compile_filters",
    "geometry_after",
    "parse_filter",
]
