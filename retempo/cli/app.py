"""Start-up, the commands by name, and how a failure is told: one line, a non-zero exit."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

import retempo
from retempo.cli import (
    control,
    convert,
    demo,
    devices,
    evaluate,
    export,
    info,
    inspect,
    keys,
    publish,
    record,
    replay,
    seal,
    serve,
    top,
    train,
    view,
    warmup,
    watch,
)
from retempo.cli.arguments import spread
from retempo.exporters.errors import ExportError
from retempo.runtime.errors import RunError
from retempo.sensors.errors import SensorError
from retempo.training.errors import TrainingError
from retempo.view.errors import ViewError

_USER_ERRORS = (SensorError, ExportError, RunError, TrainingError, ViewError)
_FAILED, _INTERNAL, _INTERRUPTED = 1, 70, 130

app = typer.Typer(
    name="retempo",
    help="Spiking networks on live event sensors, at the sensor's own time resolution.",
    epilog="A traceback is shown only with --debug, before any command.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
COMMANDS = {
    "train": train,
    "export": export,
    "seal": seal,
    "inspect": inspect,
    "info": info,
    "view": view,
    "convert": convert,
    "record": record,
    "replay": replay,
    "evaluate": evaluate,
    "devices": devices,
    "publish": publish,
    "serve": serve,
    "control": control,
    "watch": watch,
    "keys": keys,
    "top": top,
    "demo": demo,
    "warmup": warmup,
}
for _name, _module in COMMANDS.items():
    app.command(_name, epilog=_module.EXAMPLE)(_module.run)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback on failure.")] = False,
) -> None:
    del debug  # main has read it, before a command could fail
    if version:
        typer.echo(f"retempo {retempo.__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    arguments = sys.argv[1:]
    if "--debug" in arguments:
        arguments.remove("--debug")
        app(spread(arguments) or ["--help"])
    sys.exit(run(arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command line; returns its exit code and says one line on stderr where it failed.

    0 done, 1 failed, 2 misused, 70 a fault of Retempo's own, 130 interrupted.
    """
    try:
        code = app(spread(arguments) or ["--help"], standalone_mode=False)
    except TyperException as error:
        _say(f"{error.format_message()} (see retempo {_command(arguments)}--help)")
        return error.exit_code
    except (Abort, KeyboardInterrupt):
        _say("interrupted")
        return _INTERRUPTED
    except _USER_ERRORS as error:
        _say(str(error))
        return _FAILED
    except BrokenPipeError:
        # The reader has gone; what Python flushes at exit must not fail again.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        return _FAILED
    except OSError as error:
        _say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        return _FAILED
    except Exception as error:  # noqa: BLE001  (the last place to catch it)
        _say(f"internal error, {type(error).__name__}: {error}; run retempo --debug ... and report")
        return _INTERNAL
    if code == _INTERRUPTED:  # the parser has caught it on its way here
        _say("interrupted")
    return code if isinstance(code, int) else 0


def _say(text: str) -> None:
    typer.echo(f"retempo: {' '.join(text.split())}", err=True)


def _command(arguments: Sequence[str]) -> str:
    return next((f"{word} " for word in arguments if word in COMMANDS), "")
