"""The memory of a state as a checkpoint keeps it: also of a stream that sleeps, without waking it.

To wake one brings it up to date in closed form, which rounds otherwise than to sleep on does: a
stream that had been saved would no longer be the one that had not.
"""

import numpy as np

from retempo.runtime.engines.sparse.arena import (
    AWAKE,
    LOADED,
    POSITION,
    RESTFUL,
    RESTS,
    SILENT,
    SLEPT,
    STILL,
)
from retempo.runtime.engines.sparse.memory import Memory
from retempo.runtime.engines.sparse.program import NEURONS, SPIKES_AT, SPIKING
from retempo.runtime.engines.sparse.silence import LONGEST
from retempo.runtime.engines.sparse.tuning import Tuning
from retempo.runtime.errors import CheckpointError
from retempo.runtime.saved_state import Saved, taken_array, taken_int, within

_FOREVER = 1 << 61


def save_memory(memory: Memory) -> Saved:
    """Return a copy of all that the streams of a memory go on by."""
    loaded = int(memory.table[LOADED])
    return {
        "values": memory.values.copy(),
        "y": memory.y.copy(),
        "rest": memory.rest.copy(),
        "ring": memory.ring.copy(),
        "counts": memory.counts.copy(),
        "loads": memory.loads.copy() if loaded else memory.loads[..., :0].copy(),
        "position": memory.position,
        "loaded": loaded,
    }


def load_memory(memory: Memory, tuning: Tuning, saved: Saved) -> None:
    """Let a memory of streams that have seen nothing go on where a saved one stood.

    Raises:
        CheckpointError: it is that of another network or resolution, or no memory's.
    """
    values = taken_array(saved, "values", np.float32, memory.values.shape)
    y = taken_array(saved, "y", np.float32, memory.y.shape)
    rest = taken_array(saved, "rest", np.int64, (len(memory.rest), RESTS))
    within(rest[:, SILENT], "silence", 0, _FOREVER)
    within(rest[:, SLEPT], "sleep", AWAKE, LONGEST)
    within(rest[:, STILL], "stillness", 0, 1)
    asleep = bool((rest[:, SLEPT] != AWAKE).any())
    if asleep and not memory.table[RESTFUL]:
        raise CheckpointError("the saved stream sleeps, which this network does not do")
    ring = taken_array(saved, "ring", np.int32, memory.ring.shape)
    counts = taken_array(saved, "counts", np.int64, memory.counts.shape)
    for k, row in enumerate(memory.program.layers):
        # Compiled code takes these for places of arrays.
        n, at = int(row[NEURONS]) if row[SPIKING] else 0, int(row[SPIKES_AT])
        within(counts[..., k], "counts", 0, n)
        within(ring[..., at : at + n], "ring", 0, n - 1)
    position = taken_int(saved, "position", 0, tuning.lag)
    loaded = taken_int(saved, "loaded", 0, tuning.lag)
    spiking = memory.program.spiking if loaded else 0
    loads = taken_array(saved, "loads", np.float32, (*memory.ring.shape[:2], spiking))
    memory.values[:], memory.y[:], memory.rest[:] = values, y, rest
    memory.ring[:], memory.counts[:] = ring, counts
    if loaded:
        memory.load(loads.copy(), 1)
    memory.table[[POSITION, LOADED]] = position, loaded
    if asleep:
        memory.plan(tuning.plan)
