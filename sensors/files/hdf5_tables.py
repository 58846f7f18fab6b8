"""Tables of events in an HDF5 file: found by their names, read in slices of bounded size."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py

from retempo.sensors.columns import AnyColumns, no_events
from retempo.sensors.errors import RecordingError
from retempo.sensors.files.ecf import decode_ecf
from retempo.sensors.files.format import OpenRequest, reason
from retempo.sensors.files.hdf5_file import HDF5_ERRORS, check_filters, opened_hdf5
from retempo.sensors.files.table_columns import (
    Layout,
    Unit,
    given_layout,
    layout_of_names,
    layout_of_values,
    role_of,
    with_unit,
)
from retempo.sensors.files.table_pieces import SAMPLE_ROWS, Raw, decode_raw, raw_columns
from retempo.sensors.files.table_values import events_of
from retempo.sensors.problems import problem

_NUMBERS = "biuf"
_GRID_COLUMNS = 4
_PIECE_ROWS = 1 << 16
_MOST_PIECE_ROWS = 1 << 20
_MOST_OBJECTS = 10_000


@dataclass(frozen=True, slots=True)
class Table:
    """A table in a file: `names` are the datasets of a group, none for one dataset of rows."""

    name: str
    rows: int
    names: tuple[str, ...] = ()


def find_tables(file: h5py.File) -> list[Table]:
    """Return the tables of events that a file holds, in the order of their names."""
    found: list[Table] = []
    seen = 0

    def look(name: str, item: Any) -> bool | None:
        nonlocal seen
        seen += 1
        table = _group(name, item) if isinstance(item, h5py.Group) else _rows(name, item)
        if table is not None:
            found.append(table)
        return True if seen > _MOST_OBJECTS else None

    root = _group("", file)
    if root is not None:
        found.append(root)
    file.visititems(look)
    return found


def open_columns(request: OpenRequest, file: h5py.File, table: Table) -> Layout:
    """Return what the columns of a table hold, once its filters are there.

    Raises:
        RecordingError: a filter is missing, or nobody says what the columns hold.
    """
    path = request.path
    item = file[table.name] if table.name else file
    if table.names:
        for name in table.names:
            if check_filters(path, item[name]):
                raise RecordingError(f"{path} has ECF in /{table.name}/{name}, expected rows")
        layout = layout_of_names(table.names)
    else:
        layout = layout_of_names(item.dtype.names or ())
        if check_filters(path, item):
            return Layout(layout.roles, "us") if layout else given_layout(path, request.columns)
    if request.columns:
        layout = given_layout(path, request.columns)
    if layout is None:
        layout = layout_of_values(path, item[:SAMPLE_ROWS], request.geometry)
    times: Any
    if table.names:
        times = item[table.names[layout.roles.index("t")]]
        layout = layout if layout.unit else Layout(layout.roles, _unit_of(times))
        return with_unit(layout, times[:SAMPLE_ROWS])
    return with_unit(layout, raw_columns(item[:SAMPLE_ROWS], layout)["t"])


def decode_table(path: Path, table: Table, layout: Layout, offset_us: int) -> Iterator[AnyColumns]:
    """Decode a table in slices; `offset_us` is added to its times.

    Raises:
        RecordingError: the file is gone.
    """
    with opened_hdf5(path) as file:
        item = file[table.name] if table.name else file
        if not table.names and check_filters(path, item):
            yield from _decode_ecf(item, layout, offset_us)
            return
    read = partial(_slices, path, table, layout)
    yield from decode_raw(path, read, layout, table.rows, offset_us)


def _slices(path: Path, table: Table, layout: Layout) -> Iterator[Raw]:
    with h5py.File(path, "r", locking=False) as file:
        item = file[table.name] if table.name else file
        used: list[Any] = [item[name] for name in table.names] or [item]
        chunk = max(each.chunks[0] if each.chunks else 1 for each in used)
        # Whole chunks, so that none is unpacked twice.
        rows = chunk * max(1, _PIECE_ROWS // chunk) if chunk <= _MOST_PIECE_ROWS else _PIECE_ROWS
        for start in range(0, table.rows, rows):
            part = slice(start, min(start + rows, table.rows))
            if table.names:
                roles = zip(used, layout.roles, strict=False)
                yield {role: each[part] for each, role in roles if role}
            else:
                yield raw_columns(item[part], layout)


def _decode_ecf(dataset: h5py.Dataset, layout: Layout, offset_us: int) -> Iterator[AnyColumns]:
    """Decode chunk by chunk; one that is damaged is counted and passed over."""
    rows, chunk = len(dataset), dataset.chunks[0]
    for start in range(0, rows, chunk):
        stop = min(rows, start + chunk)
        place = _placed(start)
        try:
            mask, data = dataset.id.read_direct_chunk((start,))
            # A set bit says that the filter was not applied.
            raw = raw_columns(dataset[start:stop], layout) if mask & 1 else decode_ecf(data)
            if len(raw["t"]) < stop - start:
                raise RecordingError(f"it holds {len(raw['t'])} of {stop - start} events")
        except (*HDF5_ERRORS, RecordingError) as error:
            yield no_events(problem("damaged", f"the chunk at row {start}: {reason(error)}", 0))
            continue
        kept = {role: column[: stop - start] for role, column in raw.items()}
        yield events_of(kept, "us", place, offset_us)


def _placed(before: int) -> Callable[[int], str]:
    return lambda row: f"row {before + row}"


def _group(name: str, group: h5py.Group) -> Table | None:
    columns = {}
    for key in group:
        # A link to another file is not followed.
        if isinstance(group.get(key, getlink=True), h5py.ExternalLink):
            continue
        item = group.get(key)
        if (
            isinstance(item, h5py.Dataset)
            and len(item.shape or ()) == 1
            and item.dtype.kind in _NUMBERS
            and role_of(key)[0]
        ):
            columns[key] = len(item)
    if layout_of_names(tuple(columns)) is None or len(set(columns.values())) != 1:
        return None
    return Table(name, next(iter(columns.values())), tuple(columns))


def _rows(name: str, dataset: Any) -> Table | None:
    if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
        return None
    if dataset.dtype.names is not None and len(dataset.shape) == 1:
        known = layout_of_names(dataset.dtype.names) is not None
        plain = all(dataset.dtype[each].kind in _NUMBERS for each in dataset.dtype.names)
        return Table(name, len(dataset)) if known and plain else None
    wide = len(dataset.shape) == len(("rows", "columns")) and dataset.shape[1] == _GRID_COLUMNS
    named = "event" in name.rpartition("/")[2].lower()
    plain = dataset.dtype.kind in _NUMBERS
    return Table(name, len(dataset)) if wide and named and plain else None


def _unit_of(times: h5py.Dataset) -> Unit | None:
    """Return the unit that the dataset's attributes state."""
    stated = times.attrs.get("units", times.attrs.get("unit"))
    text = stated.decode("ascii", "replace") if isinstance(stated, bytes) else stated
    if not isinstance(text, str) or not text:
        return None
    return role_of(f"t {text}")[1]
