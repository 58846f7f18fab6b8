"""What a training leaves behind beside its network: `training.json` and `curve.png`."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from retempo.exporters.description import ChannelSpec, InputSpec
from retempo.runtime.hearing import stated_ear
from retempo.sensors.ears.registry import EarSpec
from retempo.training.config import TrainConfig
from retempo.training.datasets import Request
from retempo.training.errors import TrainingError

HISTORY_FILE = "training.json"
CURVE_FILE = "curve.png"

# Up to here each epoch is a dot of its own: a line through a single point is invisible.
_MARKED_EPOCHS = 20


class Epoch(msgspec.Struct, frozen=True):
    """One pass over the training recordings; accuracies are shares.

    The train accuracy is that of the passes themselves, on varied recordings and with dropout.
    """

    number: int
    loss: float
    train_accuracy: float
    held_out_accuracy: float | None
    learning_rate: float
    wall_s: float


class History(msgspec.Struct, frozen=True):
    """All that `training.json` says."""

    config: TrainConfig
    seed: int
    recordings: int
    held_out: int
    parameters: int
    wall_s: float
    threads: int
    versions: dict[str, str]
    epochs: list[Epoch]


def encode_history(history: History) -> bytes:
    """Return the content of `training.json`."""
    return msgspec.json.format(msgspec.json.encode(history), indent=1)


def load_history(run: Path) -> History | None:
    """Read `training.json` of a run; None where there is none.

    Raises:
        TrainingError: it cannot be read or is of another layout.
    """
    file = run / HISTORY_FILE
    if not file.exists():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=History)
    except (OSError, msgspec.DecodeError) as error:
        raise TrainingError(f"{file} is unreadable: {error}; train anew") from error


def ear_of(run: Path, spec: InputSpec) -> EarSpec | None:
    """Return what a run hears sound by; None where it listens to a grid or does not say.

    Its network says it; one that was trained before networks did is heard by the run's preset.

    Raises:
        TrainingError: see `load_history`.
        InputError: see `runtime.hearing.ear_of`.
    """
    ear = stated_ear(spec, str(run))
    if ear is not None or not isinstance(spec.geometry, ChannelSpec):
        return ear
    history = load_history(run)
    return None if history is None else history.config.heard_by


def request_for_test(run: Path, data: Path, labels: Sequence[str], spec: InputSpec) -> Request:
    """Ask for the test split that belongs to a run: its ear, and the speaker it has not heard.

    Raises:
        TrainingError: see `load_history`.
        InputError: see `ear_of`.
    """
    history = load_history(run)
    request = Request("test", path=data, labels=tuple(labels))
    ear = ear_of(run, spec)
    if ear is not None:
        request = replace(request, ear=ear)
    if history is None:
        return request
    return replace(request, held_out_speaker=history.config.data.held_out_speaker)


def draw_curve(history: History) -> bytes:
    """Return accuracy and loss over the epochs as a PNG picture."""
    # The object interface, since pyplot would keep figures and choose a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    numbers = [epoch.number for epoch in history.epochs]
    losses = [epoch.loss for epoch in history.epochs]
    marker = "o" if len(numbers) <= _MARKED_EPOCHS else ""
    figure = Figure(figsize=(7.0, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    train = [100.0 * epoch.train_accuracy for epoch in history.epochs]
    label = "train (varied, with dropout)"
    above.plot(numbers, train, color="tab:blue", marker=marker, label=label)
    measured = [e for e in history.epochs if e.held_out_accuracy is not None]
    if measured:
        shares = [100.0 * (e.held_out_accuracy or 0.0) for e in measured]
        label = f"held out ({history.held_out} recordings)"
        held_out = [e.number for e in measured]
        above.plot(held_out, shares, color="tab:orange", marker=marker, label=label)
    above.set_ylabel("accuracy (%)")
    above.set_ylim(0.0, 101.0)
    above.legend(loc="lower right")
    network = history.config.network
    maps = [f"{layer.channels}c{layer.kernel}" for layer in network.conv]
    hidden = "-".join([*maps, *map(str, network.hidden)])
    above.set_title(
        f"{network.neuron} {hidden} at {history.config.input.dt}, "
        f"{history.recordings} recordings, seed {history.seed}"
    )
    below.plot(numbers, losses, color="tab:blue", marker=marker)
    below.set_ylim(0.0, 1.08 * max(losses, default=0.0) or 1.0)
    below.set_ylabel("training loss")
    below.set_xlabel("epoch")
    below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (above, below):
        axes.grid(alpha=0.3)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    return picture.getvalue()
