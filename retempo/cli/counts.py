"""Counts by kind as a line for a person."""

from collections.abc import Mapping

import typer


def list_counts(counts: Mapping[str, int]) -> str:
    """Return `12 outside, 1 truncated`; empty without counts."""
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)


def tell_problems(name: object, problems: Mapping[str, int]) -> None:
    """Say on stderr, in a line, what was found wrong with a source; nothing where nothing was."""
    listed = list_counts(problems)
    if listed:
        typer.echo(f"retempo: {name}: problems found: {listed}", err=True)


def events_line(
    events_in: int,
    events_out: int,
    removed: Mapping[str, int],
    problems: Mapping[str, int],
    lost: int,
) -> str:
    """Return what became of a stream's events as one clause."""
    text = f"{events_in:,} events in, {events_out:,} out"
    if any(removed.values()):
        taken = ", ".join(f"{count:,} by {name}" for name, count in removed.items() if count)
        text += f"; removed {taken}"
    if any(problems.values()):
        text += f"; problems: {list_counts(problems)}"
    return text + (f"; {lost:,} lost" if lost else "")
