"""Filters from what people write: a text of the command line, or a table of a configuration."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from retempo.sensors.errors import FilterError
from retempo.sensors.filters.kind import Settings
from retempo.sensors.filters.registry import FILTERS
from retempo.sensors.filters.stage import Filter


def parse_filter(text: str, folder: Path = Path()) -> Filter:
    """Return the filter of `crop=10,20,64x48`, `refractory=1ms` or `hot-pixels`.

    Args:
        text: `name` or `name=value`.
        folder: what a path in it starts from.

    Raises:
        FilterError: the name is unknown, or the value unfit; the text shows an example.
    """
    name, _, argument = text.strip().partition("=")
    kind = FILTERS.get(name)
    if kind is None:
        near = difflib.get_close_matches(name, FILTERS, n=1, cutoff=0.0)[0]
        raise FilterError(
            f"there is no filter {name!r}; did you mean {FILTERS[near].example}? "
            f"Known are {', '.join(FILTERS)}"
        )
    try:
        return kind.parse(argument).build(folder)
    except FilterError as error:
        raise FilterError(f"the filter {text!r}: {error}; for example {kind.example}") from error


def build_filters(tables: Iterable[Settings], folder: Path) -> tuple[Filter, ...]:
    """Return the filters of a configuration's tables, in their order.

    Raises:
        FilterError: a setting is unfit; the text names the table, counted from 1.
    """
    filters: list[Filter] = []
    for number, table in enumerate(tables, 1):
        try:
            filters.append(table.build(folder))
        except FilterError as error:
            raise FilterError(f"filter {number}: {error}") from error
    return tuple(filters)
