"""The demonstration: a publisher process, a daemon process, and what came of it."""

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.live import Live

from retempo.demo.assets import MODEL, DemoRecording, load_model, load_recordings
from retempo.demo.live import LiveView
from retempo.demo.picture import Trace, draw_demo
from retempo.exporters.step_model import StepModel
from retempo.runtime.clock import host_clock_us
from retempo.runtime.deployment import deploy
from retempo.runtime.engines import load_engine
from retempo.runtime.errors import RunError
from retempo.runtime.layout import geometry_of
from retempo.runtime.subscriber import Decisions
from retempo.sensors.geometry import GridGeometry
from retempo.training.evaluation import Accuracy, evaluate

METHODS = ("none", "tau", "euler", "integral", "lag")
DTS_US = (10_000, 5_000, 2_000, 1_000)
LIVE_DT_US = 1_000
LIVE_METHOD = "lag"
# Nothing of it has to be compiled where the demonstration runs for the first time.
ENGINE = "onnx"

_PACED_RECORDINGS = 13
_BATCH = 64
_TIMEOUT_S = 60.0
_GRACE_S = 5.0
_COMMAND = [sys.executable, "-m", "retempo.cli"]


@dataclass(slots=True)
class DemoReport:
    """What the demonstration found: labels decided live, and the accuracies."""

    live: dict[str, str] = field(default_factory=dict)
    live_right: int = 0
    recordings: int = 0
    agreeing: int = 0
    results: list[Accuracy] = field(default_factory=list)
    source_dt_us: int = 0


def run_demo(picture: Path, console: Console) -> DemoReport:
    """Stream every recording through a daemon, measure every method, draw the picture.

    Args:
        picture: where to write it.
        console: where the live view goes.

    Raises:
        RunError: a process failed, or the picture cannot be written.
    """
    model, recordings = load_model(), load_recordings()
    report = DemoReport(
        recordings=len(recordings), source_dt_us=model.contract.network.source_dt_us
    )
    # The accuracies of all methods are computed, and the picture drawn, while recordings stream.
    measuring = _Background(model, recordings, picture)
    with _daemon() as (feed, decisions_at), Decisions(decisions_at, timeout_s=_TIMEOUT_S) as seen:
        for title, speed, part in (
            ("at the sensor's own pace", "1", recordings[:_PACED_RECORDINGS]),
            ("at full speed", "max", recordings[_PACED_RECORDINGS:]),
        ):
            _stream(part, speed, feed, seen, LiveView(title, len(part)), console, report.live)
    report.results = measuring.wait()
    report.live_right = sum(report.live[r.path.name] == r.label for r in recordings)
    best = _result(report.results, LIVE_METHOD, LIVE_DT_US)
    report.agreeing = sum(
        report.live[r.path.name] == label for r, label in zip(recordings, best.decided, strict=True)
    )
    return report


@contextmanager
def _daemon() -> Iterator[tuple[str, str]]:
    """Run `retempo serve` in a process of its own; gives its two endpoints."""
    with tempfile.TemporaryDirectory(prefix="retempo-demo-") as folder:
        config = Path(folder) / "demo.toml"
        config.write_text(
            f"""model = {json.dumps(str(MODEL))}
dt = "{LIVE_DT_US}us"
method = "{LIVE_METHOD}"

[engine]
name = "{ENGINE}"

[feed]
bind = "ipc://{folder}/feed"

[decisions]
bind = "ipc://{folder}/decisions"
every = "5ms"
""",
            encoding="utf-8",
        )
        log = Path(folder) / "daemon.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [*_COMMAND, "serve", str(config)], stdout=subprocess.PIPE, stderr=errors
            )
        try:
            assert process.stdout is not None  # noqa: S101  (a pipe was asked for)
            ready = process.stdout.readline()
            if not ready:
                raise RunError(f"the daemon did not start: {log.read_text().strip()[-500:]}")
            endpoints = json.loads(ready)
            yield endpoints["feed"], endpoints["decisions"]
            process.send_signal(signal.SIGTERM)
            if process.wait(_TIMEOUT_S) != 0:
                raise RunError(f"the daemon ended badly: {log.read_text().strip()[-500:]}")
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _stream(
    recordings: Sequence[DemoRecording],
    speed: str,
    feed: str,
    decisions: Decisions,
    view: LiveView,
    console: Console,
    decided: dict[str, str],
) -> None:
    """Publish recordings from a process of their own and follow the daemon's decisions."""
    expected = {recording.path.name: recording.label for recording in recordings}
    paths = [str(recording.path) for recording in recordings]
    publisher = subprocess.Popen(
        [*_COMMAND, "publish", *paths, "--to", feed, "--speed", speed],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        with Live(view, console=console, refresh_per_second=12, transient=False):
            waiting = set(expected)
            while waiting:
                decision = decisions.receive(_GRACE_S)
                if decision is None:
                    # Once all is sent nothing more is decided: what is missing then was dropped.
                    if publisher.poll() is not None:
                        raise RunError(_missing(publisher, len(waiting), decisions))
                    continue
                view.take(decision, expected[decision.stream])
                if decision.final:
                    decided[decision.stream] = decision.label
                    waiting.discard(decision.stream)
        _, errors = publisher.communicate(timeout=_TIMEOUT_S)
        if publisher.returncode != 0:
            raise RunError(f"the publisher failed: {errors.decode().strip()}")
    finally:
        publisher.kill()
        publisher.wait()
        if publisher.stderr is not None:
            publisher.stderr.close()


def _missing(publisher: "subprocess.Popen[bytes]", streams: int, decisions: Decisions) -> str:
    publisher.kill()
    errors = publisher.communicate()[1].decode().strip()
    missed = sum(decisions.missed.values())
    return (
        f"the decisions of {streams} recordings did not come ({missed} decisions were dropped, "
        f"the publisher said {errors or 'nothing'}); is this machine busy? Try again"
    )


class _Background:
    """Evaluates and draws in a thread; engine and kernels leave the interpreter free."""

    def __init__(
        self, model: StepModel, recordings: Sequence[DemoRecording], picture: Path
    ) -> None:
        self._model, self._recordings, self._picture = model, recordings, picture
        self._results: list[Accuracy] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> list[Accuracy]:
        """Return the results, or raise what went wrong."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._results

    def _run(self) -> None:
        try:
            self._results = evaluate(
                self._model,
                [recording.events for recording in self._recordings],
                [recording.label for recording in self._recordings],
                DTS_US,
                METHODS,
                batch=_BATCH,
                engine_name=ENGINE,
            )
            _draw(self._picture, self._model, self._recordings, self._results)
        except Exception as error:  # noqa: BLE001  (it is raised again by wait)
            self._error = error


def _result(results: Sequence[Accuracy], method: str, dt_us: int) -> Accuracy:
    return next(r for r in results if (r.method, r.dt_us) == (method, dt_us))


def _draw(
    path: Path,
    model: StepModel,
    recordings: Sequence[DemoRecording],
    results: Sequence[Accuracy],
) -> None:
    """Draw the first recording that adaptation decides rightly and its lack does not."""
    with_it = _result(results, LIVE_METHOD, LIVE_DT_US).decided
    without = _result(results, "none", LIVE_DT_US).decided
    telling = [
        k for k, recording in enumerate(recordings) if with_it[k] == recording.label != without[k]
    ]
    shown = recordings[telling[0] if telling else 0]
    geometry = geometry_of(model.contract.network.input)
    assert isinstance(geometry, GridGeometry)  # noqa: S101  (the demo's camera is a grid)
    draw_demo(
        path,
        shown.events,
        (geometry.width, geometry.height),
        [
            _trace(model, shown, "none", "Not adapted"),
            _trace(model, shown, LIVE_METHOD, f"Adapted by Retempo ({LIVE_METHOD})"),
        ],
        [(method, _result(results, method, LIVE_DT_US).percent) for method in METHODS],
        model.contract.network.labels,
        shown.label,
    )


def _trace(model: StepModel, recording: DemoRecording, method: str, title: str) -> Trace:
    engine = load_engine(model, model.resolution(LIVE_DT_US, method), ENGINE)
    deployment = deploy(engine, every="bin")
    pipeline = deployment.open(recording.path.name, deployment.geometry)
    told = [*pipeline.feed(recording.events, host_clock_us()), *pipeline.finish(0.0)]
    decisions = [decision for decision in told if decision is not None]
    return Trace(
        title=title,
        t_us=np.array([decision.t_us for decision in decisions]),
        scores=np.array([decision.scores for decision in decisions]),
    )
