"""The states of a chain of filters as plain arrays and numbers, for a checkpoint.

A filter's state is None, the sensor, or a named tuple of the sensor, arrays and whole numbers: so
no filter has to know of this.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.errors import FilterError
from retempo.sensors.filters.stage import Chain
from retempo.sensors.geometry import ChannelGeometry, GridGeometry

Value = NDArray[Any] | int | float | str | None

_FIXED = (type(None), GridGeometry, ChannelGeometry)


def saved_chain(chain: Chain) -> dict[str, Value]:
    """Return a copy of what moves in the states: `<place>.<field>` for each of their fields.

    Raises:
        FilterError: a filter's state is of a kind that cannot be saved.
    """
    saved: dict[str, Value] = {}
    for place, (each, state) in enumerate(zip(chain.filters, chain.states, strict=True)):
        for name, value in _moving(each.name, state).items():
            saved[f"{place}.{name}"] = value.copy() if isinstance(value, np.ndarray) else value
    return saved


def load_chain(chain: Chain, saved: Mapping[str, Value]) -> None:
    """Let a chain that has just been started go on where a saved one stood.

    Raises:
        FilterError: what was saved is of other filters or of another sensor.
    """
    wanted: set[str] = set()
    states: list[Any] = []
    for place, (each, state) in enumerate(zip(chain.filters, chain.states, strict=True)):
        taken = {}
        for name, value in _moving(each.name, state).items():
            key = f"{place}.{name}"
            wanted.add(key)
            taken[name] = _taken(f"{each.name} {name}", value, saved.get(key, Ellipsis))
        states.append(state._replace(**taken) if taken else state)
    strange = sorted(set(saved) - wanted)
    if strange:
        raise FilterError(f"the saved filters have {strange[0]}, which these have not")
    chain.states[:] = states


def _moving(name: str, state: Any) -> dict[str, Any]:
    if isinstance(state, _FIXED):
        return {}
    if not hasattr(state, "_asdict"):
        raise FilterError(
            f"the state of the filter {name} is {type(state).__name__}; make it a named tuple of "
            "arrays and whole numbers, so that it can be saved"
        )
    fields = state._asdict()
    return {
        key: value
        for key, value in fields.items()
        if not isinstance(value, (GridGeometry, ChannelGeometry))
    }


def _taken(name: str, fresh: Any, value: Any) -> Any:
    if isinstance(fresh, np.ndarray):
        if (
            not isinstance(value, np.ndarray)
            or value.dtype != fresh.dtype
            or value.shape != fresh.shape
        ):
            found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else "no array"
            raise FilterError(
                f"the saved state of {name} is {found}, expected {fresh.dtype} {fresh.shape}"
            )
        return value.copy()
    if value is not None and type(value) is not int:
        raise FilterError(f"the saved state of {name} is no whole number")
    return value
