"""`retempo warmup`: compile now what the first run would compile."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.options import Dt, FilterTexts, Json, MethodName, dt_of, filters_of, print_json

EXAMPLE = "Example: retempo warmup model.onnx --dt 1ms"


def run(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL.onnx", help="The demonstration's if left out."),
    ] = None,
    dt: Dt = None,
    method: MethodName = None,
    filter: FilterTexts = None,  # noqa: A002  (the option's name)
    json: Json = False,
) -> None:
    """Compile every kernel that serve and replay use, so that their first bin is quick.

    What is compiled is kept in Numba's cache folder; the command fails where none can be written.
    """
    done = {}
    for name, work in _works(model, dt_of(dt), method, filter):
        began = time.perf_counter()
        work()
        done[name] = time.perf_counter() - began
        if not json:
            typer.echo(f"{name:<16} {done[name]:7.2f} s")
    folder = _folder()
    if json:
        print_json({"seconds": done, "folder": str(folder)})
    else:
        typer.echo(f"kept in {folder}")


def _works(
    model: Path | None, dt_us: int | None, method: str | None, filters: list[str] | None
) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is to do, by name."""
    _folder()
    from retempo.demo.assets import MODEL
    from retempo.exporters.step_model import load_step
    from retempo.runtime.deployment import deploy
    from retempo.runtime.engines import ENGINES, load_engine
    from retempo.runtime.engines.sparse.entry import ENTRY
    from retempo.runtime.engines.sparse.relay import RELAY

    yield "sparse engine", lambda: (ENTRY.call, RELAY.call)
    step = load_step(model or MODEL)
    resolution = step.resolution(dt_us, method)
    chosen = filters_of(filters)
    for name in ENGINES:
        engine = load_engine(step, resolution, name)
        yield f"{name}, bins", deploy(engine, filters=chosen).warm_up
    yield "decoders", _decode


def _decode() -> None:
    """Read the demonstration's first recording as any recording is read."""
    from retempo.demo.assets import RECORDINGS
    from retempo.sensors.files import open_recording, read_all

    read_all(open_recording(min(RECORDINGS.glob("*.bin"))))


def _folder() -> Path:
    from retempo.runtime.errors import RunError

    try:
        from retempo.runtime.engines.sparse.entry import ENTRY

        folder = ENTRY.folder
        folder.mkdir(parents=True, exist_ok=True)
    except (RuntimeError, OSError) as error:
        raise RunError(
            "there is no folder where compiled kernels can be kept, so every run would compile "
            f"them anew ({error}); make the package's or the home folder's cache writable, or name "
            "a folder in NUMBA_CACHE_DIR"
        ) from error
    return folder
