"""`retempo warmup`: compile now what the first run would compile."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.options import Dt, FilterTexts, Json, MethodName, dt_of, filters_of, print_json

EXAMPLE = "Example: retempo warmup model.onnx --dt 1ms"

# What is done, by name; what it returns says why it was left out.
Work = Callable[[], str | None]
# One event each: its time, then itself.
_EVT_WORDS = {"2": ("<u4", [8 << 28, 0]), "2.1": ("<u8", [8 << 60, 1])}
_EVT_WORDS["3"] = ("<u2", [8 << 12, 6 << 12, 0, 2 << 12])


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
    What this machine cannot run, as a GPU's engine where there is none, is left out.
    """
    done, left_out = {}, {}
    for name, work in _works(model, dt_of(dt), method, filter):
        began = time.perf_counter()
        why = work()
        if why is None:
            done[name] = time.perf_counter() - began
        else:
            left_out[name] = why
        if not json:
            typer.echo(f"{name:<16} {f'left out: {why}' if why else f'{done[name]:7.2f} s'}")
    folder = _folder()
    if json:
        print_json({"seconds": done, "left_out": left_out, "folder": str(folder)})
    else:
        typer.echo(f"kept in {folder}")


def _works(
    model: Path | None, dt_us: int | None, method: str | None, filters: list[str] | None
) -> Iterator[tuple[str, Work]]:
    """What is to do, by name."""
    _folder()
    from retempo.demo.assets import MODEL
    from retempo.exporters.step_model import load_step
    from retempo.runtime.deployment import deploy
    from retempo.runtime.engine import Engine
    from retempo.runtime.engines import ENGINES, load_engine
    from retempo.runtime.engines.sparse.entry import ENTRY
    from retempo.runtime.engines.sparse.relay import RELAY
    from retempo.runtime.errors import EngineError

    def link() -> None:
        _ = ENTRY.call, RELAY.call

    def bins(engine: Engine) -> None:
        deploy(engine, filters=chosen).warm_up()

    def bins_where_there_is_a_gpu() -> str | None:
        try:
            bins(load_engine(step, resolution, "cuda"))
        except EngineError as error:
            return str(error)
        return None

    yield "sparse engine", link
    step = load_step(model or MODEL)
    resolution = step.resolution(dt_us, method)
    chosen = filters_of(filters)
    for name in ENGINES:
        if name != "cuda":
            yield f"{name}, bins", lambda name=name: bins(load_engine(step, resolution, name))  # type: ignore[misc]
    yield "cuda, bins", bins_where_there_is_a_gpu
    yield "raw EVT words", _bin_words
    yield "decoders", _decode


def _bin_words() -> None:
    """Bin the words of each version of EVT, as lists and as rows, and decode them to columns."""
    import numpy as np

    from retempo.exporters.description import GridSpec, InputSpec
    from retempo.runtime.binner import Binner
    from retempo.runtime.counters import Counters
    from retempo.runtime.fused import listed_bins, row_bins
    from retempo.runtime.layout import layout_of
    from retempo.runtime.rows import RowBinner
    from retempo.sensors.evt import Coding, evt_decoder, packed_pieces

    layout = layout_of(InputSpec(GridSpec(1, 1, 2)))
    for version, (dtype, numbers) in _EVT_WORDS.items():
        coding = Coding(version)  # type: ignore[arg-type]
        words = np.array(numbers, dtype).tobytes()
        counters = Counters()
        for _ in listed_bins(
            packed_pieces(coding, [words], "raise", version), Binner(layout, 1_000, counters)
        ):
            pass
        for _ in row_bins(
            packed_pieces(coding, [words], "raise", version), RowBinner(layout, 1_000, counters)
        ):
            pass
        decoder = evt_decoder(coding)
        decoder.feed(decoder.start(), words)


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
