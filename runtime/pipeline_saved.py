"""A pipeline as a checkpoint keeps it: its parts' own states, and its place in its decisions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.binner import Binner
from retempo.runtime.counters import Counters
from retempo.runtime.errors import CheckpointError
from retempo.runtime.intake import Intake
from retempo.runtime.readouts import Readout
from retempo.runtime.saved_state import (
    Saved,
    part_of,
    prefixed,
    taken_array,
    taken_float,
    taken_int,
    taken_text,
)
from retempo.sensors.errors import FilterError
from retempo.sensors.filters.saved import load_chain, saved_chain

# The bin decided last: its end, its length, its scores, the microseconds that it took.
Last = tuple[int, int, NDArray[np.float64], float]

_PARTS = ("binner", "readout", "filters", "guard", "engine", "counters", "removed", "place")
_MOST = 1 << 62


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a pipeline keeps a state of its own, besides the engine."""

    binner: Binner
    readout: Readout
    intake: Intake
    counters: Counters


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a pipeline stands: the resolution in force, and what it decided last."""

    dt_us: int
    sequence: int
    label: str
    last: Last | None


def save_pipeline(parts: Parts, engine: Saved, place: Place) -> Saved:
    """Return a copy of all parts under their names; `engine` is a snapshot of its state."""
    stands: Saved = {"dt_us": place.dt_us, "sequence": place.sequence, "label": place.label}
    if place.last is not None:
        end_us, length_us, scores, step_us = place.last
        stands |= {"end_us": end_us, "length_us": length_us}
        stands |= {"scores": scores.copy(), "step_us": float(step_us)}
    chain = saved_chain(parts.intake.chain) if parts.intake.chain is not None else {}
    saved: Saved = {}
    for name, part in (
        ("binner", parts.binner.save()),
        ("readout", parts.readout.save()),
        ("filters", chain),
        ("guard", {} if parts.intake.guard is None else parts.intake.guard.save()),
        ("engine", engine),
        ("counters", parts.counters.as_dict()),
        ("removed", parts.intake.removed),
        ("place", stands),
    ):
        saved |= prefixed(name, part)
    return saved


def load_pipeline(parts: Parts, saved: Saved, labels: list[str]) -> Place:
    """Let the parts of a pipeline that has seen nothing go on where saved ones stood.

    Returns:
        Where the pipeline stood; its engine is left to the caller.

    Raises:
        CheckpointError: something is missing, or of another deployment.
    """
    strange = sorted(key for key in saved if key.partition(".")[0] not in _PARTS)
    if strange:
        raise CheckpointError(f"the saved pipeline has {strange[0]}, of which nothing is known")
    parts.binner.load(part_of(saved, "binner"))
    parts.readout.load(part_of(saved, "readout"), len(labels))
    chain = part_of(saved, "filters")
    if parts.intake.chain is not None:
        try:
            load_chain(parts.intake.chain, chain)
        except FilterError as error:
            raise CheckpointError(str(error)) from error
    elif chain:
        raise CheckpointError("the saved pipeline has filters, this one has none")
    guard = part_of(saved, "guard")
    if parts.intake.guard is not None:
        parts.intake.guard.load(guard)
    elif guard:
        raise CheckpointError("the saved pipeline has a guard, this one has none")
    counts = part_of(saved, "counters")
    parts.counters.load({n: taken_int(counts, n, 0, _MOST) for n in parts.counters.as_dict()})
    removed = part_of(saved, "removed")
    parts.intake.removed.update({name: taken_int(removed, name, 0, _MOST) for name in removed})
    return _place(part_of(saved, "place"), labels)


def _place(saved: Saved, labels: list[str]) -> Place:
    label = taken_text(saved, "label")
    if label and label not in labels:
        raise CheckpointError(f"the saved pipeline decided for {label!r}, which is no label here")
    last = None
    if "end_us" in saved:
        last = (
            taken_int(saved, "end_us"),
            taken_int(saved, "length_us", 1),
            taken_array(saved, "scores", np.float64, (len(labels),)).copy(),
            taken_float(saved, "step_us"),
        )
    return Place(taken_int(saved, "dt_us", 1), taken_int(saved, "sequence", 0), label, last)
