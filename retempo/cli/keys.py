"""`retempo keys`: key pairs, and which clients a daemon lets in."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from retempo.cli.options import Json, print_json

EXAMPLE = "Example: retempo keys new camera-1 --folder keys"

Action = Literal["new", "allow", "list"]


def run(
    action: Annotated[
        Action,
        typer.Argument(
            metavar="new|allow|list",
            help="Draw a pair, let a client in, or show who is let in.",
        ),
    ],
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|PUB|PATH",
            help="new: the pair's name. allow: a public file. list: an allow-list.",
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Option(metavar="FOLDER", help="new: where NAME.key and NAME.pub go.")
    ] = Path(),
    to: Annotated[
        Path, typer.Option(metavar="FOLDER", help="allow: the daemon's allow-folder.")
    ] = Path("clients"),
    json: Json = False,
) -> None:
    """Make keys and let clients in: docs/threat-model.md says how to deploy them.

    retempo keys new server, and keys new NAME for each client; NAME.key stays where it was made.

    retempo keys allow NAME.pub --to clients puts a client on the list that a running daemon reads.

    retempo keys list clients shows the list. Remove a file from it to shut a client out.
    """
    from retempo.runtime.security.allow import allow, read_allowed
    from retempo.runtime.security.errors import SecurityError
    from retempo.runtime.security.keys import new_keys

    if action == "new":
        if what is None:
            raise typer.BadParameter("new needs a NAME")
        made = new_keys(what, folder)
        if json:
            print_json({"secret": made.secret, "public": made.public, "key": made.key})
        else:
            typer.echo(f"{made.secret} is secret, {made.public} is for others: {made.key}")
    elif action == "allow":
        if what is None:
            raise typer.BadParameter("allow needs a public file, NAME.pub")
        names = allow(Path(what), to)
        if json:
            print_json({"allowed": names, "folder": to})
        else:
            typer.echo(f"{to} lets in {', '.join(names)}")
    else:
        allowed = read_allowed(Path("clients") if what is None else Path(what))
        if allowed.problems:
            raise SecurityError(allowed.problems[0])
        by_name = sorted((name, key) for key, name in allowed.names.items())
        if json:
            print_json([{"name": name, "key": key} for name, key in by_name])
        else:
            for name, key in by_name:
                typer.echo(f"{name} {key}")
