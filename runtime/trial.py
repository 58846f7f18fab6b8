"""A model's first load and steps: what every model goes through before it goes live.

`python -m retempo.runtime.trial SETTINGS` compiles what needs no model and prints a line, then
reads a model from standard input, within limits on its time and memory, and prints one line of
JSON; `runtime.trial_process` starts it. Whatever a model does to the libraries that load it, it
does to this process.
"""

import resource
import sys
from math import ceil
from typing import Literal, get_args

import msgspec
import numpy as np

from retempo.exporters.description import ChannelSpec, GridSpec, InputSpec
from retempo.exporters.errors import ExportError, ManifestError, OperatorError
from retempo.exporters.operators import Limits, screen
from retempo.exporters.step_model import StepModel, parse_step
from retempo.runtime.binner import Binner
from retempo.runtime.counters import Counters
from retempo.runtime.deployment import deploy
from retempo.runtime.engine import Engine
from retempo.runtime.engine_fallback import Fallback, load_engine_or
from retempo.runtime.engines.saved import check_saved
from retempo.runtime.errors import EngineError, ModelError, RunError
from retempo.runtime.graph_check import odd_output
from retempo.runtime.layout import geometry_of, layout_of
from retempo.runtime.sparse_bins import without_zeros
from retempo.sensors.pieces import no_events

Kind = Literal[
    "file",  # it cannot be read, is too large, or lies where it may not
    "manifest",  # its bytes are not those that were sealed
    "operators",  # it holds what no exporter of ours writes
    "contract",  # its contract is damaged, or its graph does not keep it
    "engine",  # the engine cannot load or step it
    "numbers",  # it leaves the finite numbers, or its graph steps otherwise than its contract says
    "memory",  # it takes more memory than it may
    "time",  # it takes more time than it may
    "crash",  # the process that tried it died
    "input",  # it does not fit the streams or the settings of the deployment
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# So many bins of nothing, of random events and of nothing again.
_BINS = 16
_ACTIVE = 0.05
_WIDEST = 1 << 16
READY = "ready\n"


class TrialSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is tried as, and its limits; None of a resolution is the model's own.

    `memory_bytes` bounds the address space: 0 sets no bound, as a GPU's driver needs.
    """

    name: str = "model.onnx"
    dt_us: int | None = None
    method: str | None = None
    normalisation: str | None = None
    engine: str = "auto"
    fallback: Fallback = "none"
    operators: tuple[str, ...] = ()
    file_bytes: int = 1 << 30
    time_s: float = 20.0
    memory_bytes: int = 4 << 30

    @property
    def limits(self) -> Limits:
        """What the file may be."""
        return Limits(
            self.file_bytes, tensor_bytes=self.file_bytes, operators=frozenset(self.operators)
        )


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a trial has found: a `kind` says that the model is refused, `reason` why."""

    sha256: str = ""
    engine: str = ""
    steps: int = 0
    kind: str = ""
    reason: str = ""


def examine(content: bytes, settings: TrialSettings) -> Outcome:
    """Load a model as it shall be served, step silence and random events, and look at the results.

    Raises:
        ModelError: it may not go live.
    """
    try:
        return _examine(content, settings)
    except ModelError:
        raise
    except ManifestError as error:
        raise ModelError(str(error), "manifest") from error
    except OperatorError as error:
        raise ModelError(str(error), "operators") from error
    except ExportError as error:
        raise ModelError(str(error), "contract") from error
    except EngineError as error:
        raise ModelError(str(error), "engine") from error
    except RunError as error:
        raise ModelError(str(error), "input") from error
    except MemoryError as error:
        text = f"{settings.name} takes more memory than [models] trial_memory allows"
        raise ModelError(text, "memory") from error
    except Exception as error:  # whatever a damaged file does to a library is one refusal more
        reason = " ".join(str(error).split())[:200]
        text = f"{settings.name} cannot be loaded: {type(error).__name__}: {reason}"
        raise ModelError(text, "engine") from error


def _examine(content: bytes, settings: TrialSettings) -> Outcome:
    name = settings.name
    screen(content, name, settings.limits)
    model = parse_step(content, name)
    _check_input(model)
    resolution = model.resolution(settings.dt_us, settings.method, settings.normalisation)
    odd = odd_output(model, resolution)
    if odd is not None:
        raise ModelError(
            f"{name}: the graph's {odd} is not what the contract's network gives; the file has "
            "been altered, export it again",
            "numbers",
        )
    # A GPU's driver maps more addresses than the limit on them: `auto` is tried on the CPU.
    engine = load_engine_or(
        model, resolution, settings.engine, settings.fallback, gpu=not settings.memory_bytes
    )
    deploy(engine).warm_up()
    steps = _step(engine)
    return Outcome(sha256=model.sha256, engine=engine.name, steps=steps)


def _check_input(model: StepModel) -> None:
    """Addresses are of 16 bits: a sensor that has more is none, and its tables would be huge."""
    geometry = model.contract.network.input.geometry
    sides = [v for v in msgspec.structs.asdict(geometry).values() if isinstance(v, int)]
    if any(not 1 <= side <= _WIDEST for side in sides):
        raise ModelError(
            f"{model.name} is made for a sensor of {sides}; a side is 1 to {_WIDEST:,}", "contract"
        )


def _step(engine: Engine) -> int:
    """Step every kind of bin; returns how many were stepped.

    Raises:
        ModelError: an output or a state is not finite, or the state does not come back.
    """
    name, network = engine.model.name, engine.model.contract.network
    state = engine.new_state(1)
    total = 0
    rows = np.zeros((3 * _BINS, network.input.size), np.float32)
    rng = np.random.default_rng(0)
    events = rng.random((_BINS, network.input.size)) < _ACTIVE
    rows[_BINS : 2 * _BINS] = events * rng.integers(1, 5, events.shape)
    rows[2 * _BINS - 1] = 1.0
    for part in np.split(rows, 3):
        y = engine.run(state, without_zeros(part))
        total += len(part)
        if y.shape != (len(part), len(network.labels)):
            raise ModelError(f"{name} gives outputs of the shape {y.shape}", "numbers")
        if not np.isfinite(y).all() or not engine.finite(state).all():
            raise ModelError(
                f"{name} leaves the finite numbers within {total} bins; use another method, or "
                "train it again",
                "numbers",
            )
    saved = engine.save_state(state)
    check_saved(engine.model, saved, 1, ceil(state.resolution.lag))
    again = engine.load_state(saved, state.resolution)
    bins = without_zeros(rows[: 2 * _BINS])
    first = engine.run(state, bins).copy()
    if not np.array_equal(first, engine.run(again, bins)):
        raise ModelError(f"{name} does not go on from its saved state as without it", "numbers")
    return total + len(bins)


def prepare() -> None:
    """Compile, or load from the cache, every kernel that a trial uses: no model's time is spent."""
    from retempo.runtime.engines.sparse.entry import ENTRY
    from retempo.runtime.engines.sparse.relay import RELAY

    _ = ENTRY.call, RELAY.call
    for geometry in (GridSpec(2, 2), ChannelSpec(2)):
        spec = InputSpec(geometry)
        binner = Binner(layout_of(spec), 1, Counters())
        for _ in (*binner.feed(no_events(geometry_of(spec), 0)), *binner.finish()):
            pass


def limit(settings: TrialSettings) -> None:
    """Bind this process to its limits from here on."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    # The parent's clock is the limit; this one holds where there is no parent any more. Several
    # threads may load.
    seconds = ceil(used.ru_utime + used.ru_stime + 4 * settings.time_s)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    if settings.memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (settings.memory_bytes, settings.memory_bytes))


def main() -> int:
    """Try the model on standard input; returns 0 whatever becomes of the model."""
    settings = msgspec.json.decode(sys.argv[1], type=TrialSettings)
    prepare()
    sys.stdout.write(READY)
    sys.stdout.flush()
    limit(settings)
    try:
        outcome = examine(sys.stdin.buffer.read(), settings)
    except ModelError as error:
        outcome = Outcome(kind=error.kind, reason=str(error))
    sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
