"""The guard: ratios measured anew against those that are committed."""

from collections.abc import Mapping

from benchmarks.performance.results import Ratio, Results

# How much worse a ratio may be: less would tell of the machine's mood.
ALLOWANCE = 0.25


def worse(
    committed: Results, measured: Mapping[str, Mapping[str, Ratio]], allowance: float = ALLOWANCE
) -> list[str]:
    """Return a line for each ratio that has become worse by more than the allowance.

    Only ratios that both sides hold can be compared; one that a part measured once and measures no
    more (its rival is gone, or failed) is for `missing` to tell.

    Args:
        committed: what was measured when it was accepted.
        measured: the ratios of each part that has been measured anew.
        allowance: a share of the committed ratio.
    """
    return [
        f"{part}: {name}: {new.median:.2f}, was {old.median:.2f} "
        f"({new.median / old.median - 1.0:+.0%})"
        for part, ratios in measured.items()
        for name, new in ratios.items()
        if (old := _committed(committed, part).get(name)) is not None
        and new.median < (1.0 - allowance) * old.median
    ]


def missing(committed: Results, measured: Mapping[str, Mapping[str, Ratio]]) -> list[str]:
    """Return the targets that are committed for a part and that it does not measure any more."""
    return [
        f"{part}: {name}"
        for part, ratios in measured.items()
        for name, old in _committed(committed, part).items()
        if old.target is not None and name not in ratios
    ]


def _committed(results: Results, part: str) -> Mapping[str, Ratio]:
    return results.parts[part].ratios if part in results.parts else {}
