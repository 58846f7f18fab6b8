"""Filters on event streams: one file a filter, one line of `registry.FILTERS` each."""

from retempo.sensors.filters.stage import Filter, Filtered, apply_filters, geometry_after

__all__ = ["Filter", "Filtered", "apply_filters", "geometry_after"]
