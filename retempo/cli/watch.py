"""`retempo watch`: the decisions of a daemon, a line each."""

from typing import Annotated

import msgspec
import typer

from retempo.cli.options import Json, OwnKey, ServerKey

EXAMPLE = "Example: retempo watch tcp://127.0.0.1:7711 --json"


def run(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="The daemon's decisions.")],
    stream: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this stream; can be repeated.")
    ] = None,
    count: Annotated[int, typer.Option(min=0, help="Stop after so many; 0 never stops.")] = 0,
    timeout: Annotated[
        float, typer.Option(min=0.0, max=86_400.0, help="Seconds to wait for a daemon.")
    ] = 5.0,
    key: OwnKey = None,
    server: ServerKey = None,
    json: Json = False,
) -> None:
    """Print the decisions of a daemon as they come."""
    from retempo.runtime.security.client import read_client_keys
    from retempo.runtime.subscriber import Decisions

    keys = read_client_keys(key, server)
    with Decisions(endpoint, stream or (), timeout_s=timeout, keys=keys) as decisions:
        seen = 0
        while not count or seen < count:
            decision = decisions.receive()
            assert decision is not None  # noqa: S101  (without a time limit it waits)
            seen += 1
            if json:
                typer.echo(msgspec.json.encode(decision).decode())
            else:
                typer.echo(
                    f"{decision.stream} {decision.t_us / 1e3:10.3f} ms {decision.label} "
                    f"{max(decision.scores):.2f}{' final' if decision.final else ''}"
                )
