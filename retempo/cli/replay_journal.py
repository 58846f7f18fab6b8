"""`retempo replay --journal`: what a daemon did, once more."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from retempo.cli.options import filters_of, print_json

if TYPE_CHECKING:
    from retempo.runtime.deployment import Deployment
    from retempo.runtime.journal_format import Begin


def run(
    folder: Path,
    model: Path,
    engine: str,
    against: Path | None,
    decisions: Path | None,
    *,
    json: bool,
) -> None:
    """Replay a journal; see the options of `retempo replay`.

    Raises:
        InputError: there is no journal, it is of another model, or a decision is not made again.
    """
    from retempo.exporters.manifest import digest_of
    from retempo.runtime.decision import Decision, encode_json
    from retempo.runtime.decision_comparison import compare_decisions, read_decisions
    from retempo.runtime.errors import InputError
    from retempo.runtime.journal_reader import read_journal
    from retempo.runtime.journal_replay import replay_journal

    made: list[Decision] = []
    lines = None if decisions is None else decisions.open("wb")
    seen = None if against is None else list(read_decisions(against))

    def tell(decision: Decision) -> None:
        if seen is not None:
            made.append(decision)
        if lines is not None:
            lines.write(encode_json(decision) + b"\n")

    digest = digest_of(model.read_bytes())
    others: dict[str, str] = {}
    fits = False

    def deployment_of(begin: "Begin") -> "Deployment | None":
        nonlocal fits
        if begin.model_sha256 != digest:
            others[begin.model_sha256] = served_as(begin)
            return None
        fits = True
        return deployment_of_journal(begin, model, engine)

    replayed = replay_journal(read_journal(folder), deployment_of, tell)
    if lines is not None:
        lines.close()
    told = ", ".join(f"{name} ({found[:12]}...)" for found, name in others.items())
    if others and not fits:
        raise InputError(
            f"{model} has the SHA-256 {digest[:12]}..., the journal is of {told}; give that file "
            "as --model"
        )
    if others:
        typer.echo(f"note: left out is what was served by {told}; give it as --model", err=True)
    for note in replayed.notes:
        typer.echo(f"note: {note}", err=True)
    if replayed.skipped:
        typer.echo(f"note: begun before the journal: {', '.join(replayed.skipped)}", err=True)
    for stream in replayed.streams:
        if json:
            print_json(msgspec.to_builtins(stream))
        else:
            why = f" ({stream.why})" if stream.why else ""
            typer.echo(
                f"{stream.stream}: {stream.label or 'no events'}, {stream.decisions:,} decisions, "
                f"{stream.counters['binned']:,} of {stream.counters['received']:,} events, "
                f"{stream.outcome}{why}"
            )
    if seen is not None:
        compared = compare_decisions(seen, made)
        typer.echo(
            f"{compared.alike:,} of {len(seen):,} decisions of {against} were made again, bit for "
            f"bit; {compared.unseen:,} more are not in it",
            err=True,
        )
        if compared.differing:
            more = len(compared.differing) - 1
            also = f", and {more} more differ" if more else ""
            raise InputError(f"{compared.differing[0]}{also}")


def served_as(begin: "Begin") -> str:
    """Return the name of the model's file that a session of a journal served."""
    from retempo.runtime.serve_config import ServeConfig

    return msgspec.json.decode(begin.settings, type=ServeConfig).model


def deployment_of_journal(begin: "Begin", model: Path, engine: str) -> "Deployment":
    """Load what a session of a journal served, by its engine unless another is asked for."""
    from retempo.runtime.serve_config import ServeConfig
    from retempo.runtime.serving import deployment_of

    settings = msgspec.json.decode(begin.settings, type=ServeConfig)
    chosen = msgspec.structs.replace(
        settings.engine, name=begin.engine if engine == "auto" else engine
    )
    settings = msgspec.structs.replace(settings, model=str(model.absolute()), engine=chosen)
    filters = None if begin.filters is None else filters_of(begin.filters)
    return deployment_of(settings, Path(begin.folder), filters)


def refuse_options(given: Sequence[str]) -> None:
    """Complain of options that a journal answers itself."""
    if given:
        raise typer.BadParameter(
            f"a journal is replayed as it was served; leave out {', '.join(given)}"
        )
