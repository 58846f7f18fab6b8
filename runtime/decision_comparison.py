"""Whether two runs have decided alike, but for how long it took."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from retempo.runtime.decision import Decision
from retempo.runtime.errors import InputError

# The host's clock is another's.
_IGNORED = ("latency_us", "step_us")


@dataclass(frozen=True, slots=True)
class Comparison:
    """`alike` decisions of the file were made again; `differing` says of the others how.

    `unseen` were made and are not in the file, whose reader may have missed them.
    """

    alike: int
    unseen: int
    differing: list[str]


def compare_decisions(seen: Iterable[dict[str, Any]], made: Iterable[Decision]) -> Comparison:
    """Hold decisions that somebody saw against those of a replay.

    Of each stream they are gone through in their order, so a stream may be opened several times.

    Args:
        seen: as the JSON of a decision.
        made: by the replay, complete.
    """
    by_stream: dict[str, list[dict[str, Any]]] = {}
    unseen = 0
    for decision in made:
        by_stream.setdefault(decision.stream, []).append(msgspec.to_builtins(decision))
        unseen += 1
    places = dict.fromkeys(by_stream, 0)
    alike, differing = 0, []
    for told in seen:
        stream, sequence = told.get("stream", ""), told.get("sequence")
        those = by_stream.get(stream, [])
        place = next(
            (k for k in range(places.get(stream, 0), len(those)) if _same_id(those[k], told)), None
        )
        if place is None:
            differing.append(f"decision {sequence} of {stream!r} was not made again")
            continue
        places[stream] = place + 1
        unseen -= 1
        keys = sorted(
            key
            for key in told.keys() | those[place].keys()
            if key not in _IGNORED and told.get(key) != those[place].get(key)
        )
        if keys:
            differing.append(f"decision {sequence} of {stream!r} differs in {', '.join(keys)}")
        else:
            alike += 1
    return Comparison(alike, unseen, differing)


def read_decisions(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the decisions of a file of JSON lines, such as `retempo watch --json` prints.

    Raises:
        InputError: it cannot be read, or a line is no decision.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    for number, line in enumerate(lines, 1):
        try:
            yield msgspec.to_builtins(msgspec.json.decode(line, type=dict[str, Any]))
        except msgspec.MsgspecError as error:
            raise InputError(f"{path}, line {number} is no decision: {error}") from error


def _same_id(made: dict[str, Any], told: dict[str, Any]) -> bool:
    return bool(made["sequence"] == told.get("sequence") and made["t_us"] == told.get("t_us"))
