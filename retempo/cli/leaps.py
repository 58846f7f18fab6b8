"""Leaps of event time that a pace does not wait for, as a line for a person."""

from collections.abc import Callable

import typer


def leaps_told(name: str) -> Callable[[int], None]:
    """Return what says on stderr that a source leaps, once however often it does."""
    told = False

    def tell(leap_us: int) -> None:
        nonlocal told
        if not told:
            typer.echo(
                f"note: {name} leaps ahead by {leap_us / 1e6:,.0f} s, which is not waited for, nor "
                "is any other leap of more than ten minutes",
                err=True,
            )
        told = True

    return tell
