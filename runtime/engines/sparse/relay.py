"""Pending spikes at another time step: the ring laid again, see `runtime.engines.history`."""

import sys

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.engines.sparse import products, program
from retempo.runtime.engines.sparse.ahead import Ahead
from retempo.runtime.engines.sparse.products import Index, jit
from retempo.runtime.engines.sparse.program import (
    FIELDS,
    NEURONS,
    SPIKES_AT,
    SPIKING,
    Floats,
    Table,
)
from retempo.runtime.engines.sparse.views import array_of, data_of

# The head of the list of whole numbers: sizes, then the new age of each age from 1 on.
BATCH, LAYERS, WIDTH, LOADED, FROM_PLACES, FROM_POSITION, TO_PLACES, AGES = range(8)


_longs, _places, _floats = array_of(np.int64), array_of(np.int32), array_of(np.float32)


def relay(
    sizes: int,
    layers: int,
    ring: int,
    loads: int,
    counts: int,
    new_ring: int,
    new_loads: int,
    new_counts: int,
    times: int,
) -> int:  # pragma: no cover - compiled
    """Lay the spikes of a ring into a new one, whose position is 0; all array objects by `id`.

    Returns:
        The youngest new age at which a spike counts more than once, 0 if none does.
    """
    s = _longs(data_of(sizes), (AGES,))
    lag = s[FROM_PLACES] - 1
    ages = _longs(data_of(sizes), (AGES + lag,))[AGES:]
    batch, width, places, new_places = s[BATCH], s[WIDTH], s[FROM_PLACES], s[TO_PLACES]
    rows = _longs(data_of(layers), (s[LAYERS], FIELDS))
    old = _places(data_of(ring), (batch, places, width))
    old_loads = _floats(data_of(loads), (batch, places, width if s[LOADED] else 0))
    old_counts = _longs(data_of(counts), (batch, places, s[LAYERS]))
    new = _places(data_of(new_ring), (batch, new_places, width))
    often = _floats(data_of(new_loads), (batch, new_places, width))
    listed = _longs(data_of(new_counts), (batch, new_places, s[LAYERS]))
    heard = _floats(data_of(times), (width,))
    youngest = 0
    for b in range(batch):
        for k in range(s[LAYERS]):
            if not rows[k, SPIKING]:
                continue
            at, n = rows[k, SPIKES_AT], rows[k, NEURONS]
            part = heard[at : at + n]
            part[:] = np.float32(0.0)
            for age in range(1, lag + 1):
                place = (s[FROM_POSITION] - age) % places
                for j in range(at, at + old_counts[b, place, k]):
                    load = old_loads[b, place, j] if s[LOADED] else np.float32(1.0)
                    part[old[b, place, j]] += load
                if age < lag and ages[age] == ages[age - 1]:
                    continue  # older spikes are heard with these
                to = -ages[age - 1] % new_places
                found, most = _list(part, new[b, to, at:], often[b, to, at:])
                listed[b, to, k] = found
                if most > np.float32(1.0) and (youngest == 0 or ages[age - 1] < youngest):
                    youngest = ages[age - 1]
    return youngest


@jit
def _list(
    times: Floats, spikes: Index, loads: Floats
) -> tuple[int, np.float32]:  # pragma: no cover - compiled
    """List what is not 0, and set it to 0; returns how many there are and the highest."""
    found, most = 0, np.float32(0.0)
    for m in range(len(times)):
        if times[m] != np.float32(0.0):
            spikes[found], loads[found] = m, times[m]
            most = times[m] if times[m] > most else most
            times[m] = np.float32(0.0)
            found += 1
    return found, most


def relay_numpy(history: NDArray[np.float32], ages: list[int], lag: int) -> NDArray[np.float32]:
    """Return the history `(lag, batch, neurons)`, newest first, that another becomes: plain."""
    moved = np.zeros((lag, *history.shape[1:]), np.float32)
    for age, spikes in zip(ages, history, strict=True):
        moved[age - 1] += spikes
    return moved


RELAY = Ahead(relay, [sys.modules[__name__], products, program])


def sizes_of(
    program_layers: Table,
    width: int,
    *,
    batch: int,
    loaded: bool,
    places: int,
    position: int,
    to_places: int,
    ages: list[int],
) -> NDArray[np.int64]:
    """Return the list of whole numbers that `relay` takes."""
    head = [batch, len(program_layers), width, loaded, places, position, to_places]
    return np.array([*head, *ages], np.int64)
