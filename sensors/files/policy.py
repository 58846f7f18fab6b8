"""A policy put to work on decoded pieces: the one place where a problem ends a recording."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.columns import AnyColumns, Columns, arrays_of, part_of
from retempo.sensors.errors import RecordingError
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.problems import MEND, NO_PROBLEMS, Policy, Problems, both, problem

C = TypeVar("C", bound=AnyColumns)


def under_policy(
    pieces: Iterator[C], geometry: Geometry, policy: Policy, path: Path
) -> Iterator[C]:
    """Yield pieces without events outside the geometry, as far as the policy goes.

    `skip` yields every good event with the counts of the bad, `stop` ends before the first
    problem, whose count its last piece carries, `raise` yields the events before it and then
    raises.

    Raises:
        RecordingError: the policy is `raise` and there is a problem; or the decoder fails.
    """
    for piece in pieces:
        good = inside(piece, geometry)
        if not good.problems or policy == "skip":
            yield good
            continue
        before = part_of(good, slice(0, good.problems.kept))
        if policy == "stop":
            yield replace(before, problems=good.problems.first())
            return
        yield before
        raise RecordingError(f"{path}: {good.problems.text}; {MEND}")


def inside(columns: C, geometry: Geometry) -> C:
    """Return the events within the geometry, with a problem for those that are not."""
    beyond = _beyond(columns, geometry)
    if beyond is None:
        return columns
    good = part_of(columns, ~beyond)
    first = int(beyond.argmax())
    address = ", ".join(
        f"{name} {int(column[first])}"
        for name, column in arrays_of(columns).items()
        if name not in ("t_us", "on")
    )
    lost = problem(
        "outside",
        f"the event at {int(columns.t_us[first])} us with {address} lies outside the sensor of "
        f"{geometry}",
        first,
        int(np.count_nonzero(beyond)),
    )
    return replace(good, problems=both(_moved(columns.problems, beyond), lost))


def _moved(problems: Problems, beyond: NDArray[np.bool_]) -> Problems:
    if not problems:
        return NO_PROBLEMS
    return replace(problems, kept=int(np.count_nonzero(~beyond[: problems.kept])))


def _beyond(columns: AnyColumns, geometry: Geometry) -> NDArray[np.bool_] | None:
    """Which events lie outside, None where none does."""
    if len(columns) == 0:
        return None
    if isinstance(columns, Columns):
        assert isinstance(geometry, GridGeometry)  # noqa: S101  (the format has chosen both)
        if columns.x.max() < geometry.width and columns.y.max() < geometry.height:
            return None
        beyond: NDArray[np.bool_] = (columns.x >= geometry.width) | (columns.y >= geometry.height)
        return beyond
    assert not isinstance(geometry, GridGeometry)  # noqa: S101
    if columns.channel.max() < geometry.channels:
        return None
    outside: NDArray[np.bool_] = columns.channel >= geometry.channels
    return outside
