"""How a training shows on stderr: a live line on a terminal, plain lines elsewhere."""

import sys
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from retempo.training.history import Epoch


class Progress(Protocol):
    """Hears of every epoch; `close` is called once at the end, whatever that is."""

    def epoch(self, epoch: Epoch, epochs: int, left_s: float) -> None:
        """Hear that an epoch has ended, of how many, and how long the rest will take."""
        ...

    def close(self) -> None:
        """Give the terminal back."""
        ...


class Silent:
    """Shows nothing."""

    def epoch(self, epoch: Epoch, epochs: int, left_s: float) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Have nothing to give back."""


class Lines:
    """Writes a line an epoch."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def epoch(self, epoch: Epoch, epochs: int, left_s: float) -> None:
        """Write the epoch's line."""
        self._stream.write(f"{progress_line(epoch, epochs, left_s)}\n")
        self._stream.flush()

    def close(self) -> None:
        """Have nothing to give back."""


class LiveLine:
    """Keeps one line up to date on a terminal."""

    def __init__(self, console: Console) -> None:
        self._live = Live(Text("the first epoch runs"), console=console, auto_refresh=False)
        self._live.start(refresh=True)

    def epoch(self, epoch: Epoch, epochs: int, left_s: float) -> None:
        """Replace the line."""
        self._live.update(Text(progress_line(epoch, epochs, left_s)), refresh=True)

    def close(self) -> None:
        """Leave the last line standing."""
        self._live.stop()


def choose_progress(*, quiet: bool) -> Progress:
    """Return the progress that fits stderr."""
    if quiet:
        return Silent()
    console = Console(stderr=True)
    return LiveLine(console) if console.is_terminal else Lines(sys.stderr)


def progress_line(epoch: Epoch, epochs: int, left_s: float) -> str:
    """Return `epoch 3/30  loss 0.412  train 87.1 %  held out 85.0 %  2.1 s  56 s left`."""
    held_out = ""
    if epoch.held_out_accuracy is not None:
        held_out = f"  held out {epoch.held_out_accuracy:.1%}".replace("%", " %")
    train = f"{epoch.train_accuracy:.1%}".replace("%", " %")
    minutes, seconds = divmod(round(left_s), 60)
    left = f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
    return (
        f"epoch {epoch.number}/{epochs}  loss {epoch.loss:.3f}  train {train}{held_out}  "
        f"{epoch.wall_s:.1f} s  {left} left"
    )
