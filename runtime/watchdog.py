"""The watchdog: fed by the daemon's loop, it says aloud when the loop does not come round."""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.heartbeat import Heartbeat, Watch, look
from retempo.runtime.sd_notify import SystemdNotifier

# "A temporary failure; try again": a supervisor starts the daemon anew.
STUCK_EXIT = 75
# systemd's own advice is half of its limit; the loop comes round once a second at least.
_FEEDS_A_LIMIT = 3.0
_STATUS_S = 1.0
_FRAMES = 12


@dataclass(frozen=True, slots=True)
class WatchdogSettings:
    """After `limit_s` without a turn of its loop the daemon is stuck; `exit` then ends it."""

    limit_s: float = 10.0
    exit: bool = False


class Watchdog:
    """Feeds systemd's watchdog and our own from the daemon's loop; a `runtime.daemon.Chore`.

    A thread looks at the heartbeat. If there was none for the limit, it logs `stuck` with the place
    at which the loop stands, and with `exit` ends the process, unless it is being stopped anyway.

    Args:
        server: what the loop serves.
        settings: the limit and what follows.
        heartbeat: beaten in every pass of the loop.
        log: where it is told.
        notifier: systemd.
        end: ends the process with a code, at once.
    """

    sources: Sequence[Any] = ()

    def __init__(
        self,
        server: FeedServer,
        settings: WatchdogSettings,
        heartbeat: Heartbeat,
        log: EventLog,
        notifier: SystemdNotifier,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        self._server = server
        self._settings = settings
        self._heartbeat = heartbeat
        self._log = log
        self._notifier = notifier
        self._end = end
        self._loop = threading.get_ident()
        self._ready = False
        self._told_s = -1e9
        self._every_s = _STATUS_S
        if notifier.watchdog_s is not None:
            self._every_s = min(_STATUS_S, notifier.watchdog_s / _FEEDS_A_LIMIT)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def tick(self) -> None:
        """Say that the loop has come round."""
        self._heartbeat.beat()
        now_s = self._heartbeat.clock()
        if now_s - self._told_s < self._every_s:
            return
        self._told_s = now_s
        ready = () if self._ready else ("READY=1",)
        self._ready = True
        report = self._server.report
        status = f"STATUS={report.streams} streams opened, {report.messages} messages received"
        self._notifier.send(*ready, "WATCHDOG=1", status)

    def stopping(self) -> None:
        """Say that the streams are being finished."""
        self._heartbeat.stopping = True
        self._notifier.send("STOPPING=1", "STATUS=finishing the open streams")

    def close(self) -> None:
        """End the thread."""
        self._done.set()
        self._thread.join()
        self._notifier.close()

    def _watch(self) -> None:
        period_s = self._settings.limit_s / 8
        watch, before_s, told = Watch(), self._heartbeat.clock(), False
        while not self._done.wait(period_s):
            now_s = self._heartbeat.clock()
            beats = self._heartbeat.beats
            if told and beats != watch.beats:
                self._log.info("turning_again", still_s=round(watch.still_s, 1))
                told = False
            watch = look(watch, beats, now_s - before_s, period_s)
            before_s = now_s
            if watch.still_s >= self._settings.limit_s and not told:
                told = True
                self._tell(watch.still_s)

    def _tell(self, still_s: float) -> None:
        ends = self._settings.exit and not self._heartbeat.stopping
        self._log.error(
            "stuck",
            still_s=round(still_s, 1),
            limit_s=self._settings.limit_s,
            stack=stack_of(sys._current_frames().get(self._loop)),  # noqa: SLF001
            exit=STUCK_EXIT if ends else None,
        )
        if ends:
            self._end(STUCK_EXIT)


def stack_of(frame: FrameType | None) -> str:
    """Return where a thread stands, on one line, the innermost call first."""
    calls: list[str] = []
    while frame is not None and len(calls) < _FRAMES:
        code = frame.f_code
        place = "/".join(code.co_filename.split("/")[-2:])
        calls.append(f"{place}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return " < ".join(calls) or "unknown"
