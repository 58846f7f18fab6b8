"""Another model while streams are open: prepared beside the loop, taken between two messages."""

import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import msgspec

from retempo.exporters.errors import ExportError
from retempo.exporters.step_model import same_network
from retempo.runtime.deployment import Deployment
from retempo.runtime.errors import ModelError, RunError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_server import FeedServer
from retempo.sensors.errors import SensorError

# A load that does not end by itself must not keep the daemon from ending.
_PATIENCE_S = 1.0


class Swapped(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of a swap: `carried` says that the network, and so every state, is the same."""

    ok: bool
    model: str = ""
    sha256: str = ""
    dt_us: int = 0
    engine: str = ""
    carried: bool = False
    unchanged: bool = False
    streams: int = 0
    kind: str = ""
    error: str = ""


Prepare = Callable[[], Deployment]
Told = Callable[[Swapped], None]


class Swapping:
    """A chore that swaps the model: one at a time, on SIGHUP or on demand.

    On any error the model that serves goes on, and the reason is logged and told.
    """

    def __init__(
        self,
        server: FeedServer,
        log: EventLog,
        reread: Prepare,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._server = server
        self._log = log
        self._reread = reread
        self._stop = stop
        self._told: list[Told] = []
        self._by = ""
        self._thread: threading.Thread | None = None
        self._ready: tuple[Deployment, bool] | Exception | None = None
        self._wanted = False
        self._waker, self._wake = socket.socketpair()
        for end in (self._waker, self._wake):
            end.setblocking(False)
        self._before = self._listen()

    @property
    def sources(self) -> Sequence[Any]:
        """What wakes the loop: a signal, and a model that is ready."""
        return (self._waker,)

    @property
    def busy(self) -> bool:
        """Whether a model is being prepared."""
        return self._thread is not None

    def request(self) -> None:
        """Reread the configuration as soon as no other swap is under way; safe in a signal."""
        self._wanted = True
        self._rouse()

    def begin(self, prepare: Prepare, by: str, told: Told = lambda _: None) -> bool:
        """Prepare a model in a thread and swap to it; False while another is being prepared.

        Args:
            prepare: makes the deployment, in a thread of its own.
            by: who asked, for the log.
            told: told the outcome, in the loop.
        """
        if self.busy:
            return False
        self._by, self._told = by, [told]
        serving = self._server.deployment.model

        def work() -> None:
            try:
                new = prepare()
                self._ready = new, same_network(serving, new.model)
            except Exception as error:  # noqa: BLE001  (it is told in the loop)
                self._ready = error
            self._rouse()

        self._thread = threading.Thread(target=work, name="retempo-swap", daemon=True)
        self._thread.start()
        return True

    def tick(self) -> None:
        """Take what is ready, or begin what was asked for by a signal."""
        with suppress(BlockingIOError):
            self._waker.recv(64)
        thread = self._thread
        if thread is not None and self._ready is not None:
            thread.join()
            ready, self._ready, self._thread = self._ready, None, None
            self._finish(ready)
        if self._wanted and not self.busy:
            self._wanted = False
            self.begin(self._reread, "SIGHUP")

    def close(self) -> None:
        """Give up what is being prepared."""
        if self._before is not None:
            signal.signal(signal.SIGHUP, self._before)
        if self._thread is not None:
            self._stop()
            self._thread.join(_PATIENCE_S)
            self._tell(Swapped(ok=False, kind="stopping", error="the daemon is shutting down"))
        with self._waker, self._wake:
            pass

    def _finish(self, ready: tuple[Deployment, bool] | Exception) -> None:
        if isinstance(ready, Exception):
            self._refuse(ready)
            return
        new, carry = ready
        old = self._server.deployment
        streams, unchanged = len(self._server.streams), _alike(old, new)
        if not unchanged:
            try:
                self._server.swap(new, carry=carry)
            except Exception as error:  # noqa: BLE001  (the old model goes on serving)
                self._refuse(error)
                return
        outcome = Swapped(
            ok=True,
            model=new.model.name,
            sha256=new.model.sha256,
            dt_us=new.engine.resolution.dt_us,
            engine=new.engine.name,
            carried=carry,
            unchanged=unchanged,
            streams=streams,
        )
        said = msgspec.structs.asdict(outcome)
        fields = {key: said[key] for key in ("model", "sha256", "dt_us", "carried", "streams")}
        event = "swap_unchanged" if unchanged else "swapped"
        self._log.info(event, by=self._by, engine=new.engine.name, **fields)
        self._tell(outcome)

    def _refuse(self, error: Exception) -> None:
        known = isinstance(error, RunError | ExportError | SensorError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        kind = error.kind if isinstance(error, ModelError) else "input" if known else "internal"
        self._server.report.swap_refusals += 1
        self._log.warning("swap_refused", by=self._by, kind=kind, reason=reason)
        self._tell(Swapped(ok=False, kind=kind, error=reason))

    def _tell(self, outcome: Swapped) -> None:
        for told in self._told:
            told(outcome)
        self._told = []

    def _rouse(self) -> None:
        with suppress(OSError):
            self._wake.send(b"\0")

    def _listen(self) -> Any:
        """Take SIGHUP, which only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            return None

        def request(_number: int, _frame: FrameType | None) -> None:
            self.request()

        return signal.signal(signal.SIGHUP, request)


def _alike(old: Deployment, new: Deployment) -> bool:
    ours, theirs = old.engine.resolution, new.engine.resolution
    same = old.model.sha256 == new.model.sha256 and old.engine.name == new.engine.name
    return same and (ours.dt_us, ours.method, ours.normalisation) == (
        theirs.dt_us,
        theirs.method,
        theirs.normalisation,
    )
