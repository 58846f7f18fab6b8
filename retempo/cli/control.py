"""`retempo control`: ask a daemon what it does, swap its model, end it."""

from typing import Annotated, Any, Literal

import typer

from retempo.cli.options import Json, print_json

EXAMPLE = "Example: retempo control ipc:///run/retempo/control swap model-2ms.onnx"


def run(
    endpoint: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Its [control] bind.")],
    action: Annotated[
        Literal["status", "swap", "stop"], typer.Argument(metavar="status|swap|stop")
    ],
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL.onnx",
            help="Of swap, from the daemon's configuration on; without it that is read anew.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.0, max=86_400.0, help="Seconds to wait for an answer.")
    ] = 60.0,
    json: Json = False,
) -> None:
    """Ask a daemon over its control socket; fails where it does not do as it is asked."""
    from retempo.runtime.control_client import ask
    from retempo.runtime.control_protocol import Request, Status, StopRequest, Swap
    from retempo.runtime.errors import ConfigError, FeedError

    if model is not None and action != "swap":
        raise ConfigError(f"{action} takes no model, got {model!r}")
    request: Request = Status()
    if action != "status":
        request = Swap(model) if action == "swap" else StopRequest()
    reply = ask(endpoint, request, timeout)
    if json:
        print_json(reply)
    if not reply.get("ok"):
        raise FeedError(f"the daemon refuses: {reply.get('error')}")
    if not json:
        typer.echo("\n".join(_lines(action, reply)))


def _lines(action: str, reply: dict[str, Any]) -> list[str]:
    if action == "stop":
        return ["stopping"]
    if action == "swap":
        done = "serves already" if reply.get("unchanged") else "serves"
        state = "with its state" if reply.get("carried") else "from an empty state"
        served = (
            f"{done} {reply['model']} ({reply['sha256'][:12]}) at {reply['dt_us']} us by "
            f"{reply['engine']}; {reply.get('streams', 0)} streams go on {state}"
        )
        return [served]
    model = reply["model"]
    head = (
        f"{model['name']} ({model['sha256'][:12]}) at {model['dt_us']} us by {model['engine']}, "
        f"up {reply['uptime_s']:.0f} s, {reply['report']['swaps']} swaps"
    )
    lines = [head]
    for stream in reply["streams"]:
        counters = stream["counters"]
        lines.append(
            f"{stream['stream']:<16} {stream['dt_us']:>7} us  {counters['received']:,} events, "
            f"{counters['steps']:,} steps, {counters['late']:,} late, {counters['shed']:,} shed, "
            f"{stream['waiting']} waiting"
        )
    return lines
