"""The decisions of a daemon, and what to hold them against."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from retempo.runtime.subscriber import Decisions
from tests.daemons import TIMEOUT_S

if TYPE_CHECKING:
    from tests.cli.conftest import Invoke


def finals(decisions: Decisions, streams: set[str]) -> dict[str, tuple[list[float], object]]:
    found: dict[str, tuple[list[float], object]] = {}
    while streams - found.keys():
        decision = decisions.receive(TIMEOUT_S)
        assert decision is not None, f"no final decision of {streams - found.keys()}"
        if decision.final:
            found[decision.stream] = (decision.scores, decision.counters)
    return found


def replayed(
    invoke: "Invoke", paths: list[Path], model: Path
) -> dict[str, tuple[list[float], object]]:
    options = ["--model", model, "--dt", "1ms", "--method", "lag", "--json"]
    lines = [json.loads(line) for line in invoke("replay", *paths, *options).out.splitlines()]
    return {line["recording"]: (line["scores"], line["counters"]) for line in lines}
