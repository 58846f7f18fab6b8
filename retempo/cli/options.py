"""The options that several commands share, and how their values are read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from retempo.runtime.units import parse_dt_us, parse_geometry
from retempo.sensors.geometry import Geometry
from retempo.sensors.problems import Policy

if TYPE_CHECKING:
    from retempo.sensors.filters import Filter  # compiles: not for every command

_SLOWEST, _FASTEST = 1e-3, 1e6

Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout.")]
Dt = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION", help="Time step: 1ms, 2.5ms, 500us. The file's own if left out."
    ),
]
MethodName = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD",
        help="auto, none, tau, euler, integral, expectation, impulse, lag or substep.",
    ),
]
Normalisation = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="none, paper, independent, matched or measured; if left out, the file's where it was "
        "chosen, or the method's own.",
    ),
]
Unlabelled = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="PATH...", help="Recordings, or folders of them, for --normalisation measured."
    ),
]
Model = Annotated[Path, typer.Option(metavar="MODEL.onnx", help="An exported step.")]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine", metavar="ENGINE", help="auto (the fastest here, measured), sparse or onnx."
    ),
]
Speed = Annotated[
    str,
    typer.Option(metavar="1|max", help="1 is the sensor's own pace, 0.5 half of it, max no pace."),
]
FilterTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="FILTER",
        help="A step on events before the bins, such as crop=10,20,64x48, downsample=2, hot-pixels "
        "or refractory=1ms (docs/filters.md lists all); repeat it for several, in their order.",
    ),
]
Sensor = Annotated[
    str | None,
    typer.Option(
        "--geometry",
        metavar="WxH|N",
        help="The sensor, or its channels, whatever the file says of it.",
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        help="Events from then on: 1.5s counts from the first event, @1.5s is the sensor's clock.",
    ),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="Events before then; as --from.")
]
WrittenFormat = Annotated[
    str | None, typer.Option("--format", metavar="FORMAT", help="By the suffix if left out.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]
OwnKey = Annotated[
    Path | None,
    typer.Option("--key", metavar="NAME.key", help="Your secret key, if the daemon asks for one."),
]
ServerKey = Annotated[
    Path | None,
    typer.Option("--server", metavar="SERVER.pub", help="The daemon's public key, with --key."),
]
OnDamage = Annotated[
    Policy,
    typer.Option(
        "--policy",
        metavar="skip|stop|raise",
        help="What follows from damage: leave it out and count it, end there, or fail.",
    ),
]


def dt_of(text: str | None) -> int | None:
    """Return the microseconds of `--dt`, None where it is left out."""
    return None if text is None else parse_dt_us(text)


def geometry_of(text: str | None) -> Geometry | None:
    """Return the sensor of `--geometry`, None where it is left out."""
    return None if text is None else parse_geometry(text)


def filters_of(texts: list[str] | None) -> "tuple[Filter, ...]":
    """Return the filters of `--filter`, in their order."""
    from retempo.sensors.filters import parse_filter

    return tuple(parse_filter(text) for text in texts or [])


def speed_of(text: str) -> float | None:
    """Return the factor of `--speed`, None for `max`."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not _SLOWEST <= speed <= _FASTEST:
        raise typer.BadParameter(
            f"--speed is max or a number from {_SLOWEST:g} to {_FASTEST:g}, got {text!r}"
        )
    return speed


def print_json(value: object) -> None:
    """Print one line of JSON on stdout."""
    typer.echo(msgspec.json.encode(value, enc_hook=str).decode())
