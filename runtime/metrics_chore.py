"""`/metrics` and `/healthz` of a running daemon."""

import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from retempo.runtime.event_log import EventLog
from retempo.runtime.facts import Facts, facts_of
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.gauges import Gauge
from retempo.runtime.heartbeat import Heartbeat
from retempo.runtime.metric_families import Scrape
from retempo.runtime.metrics import ScrapeCollector, render
from retempo.runtime.page_server import Page, PageServer
from retempo.runtime.snapshot import ServerSnapshot, unaccounted

# A loop that has not answered by then is busy with one long thing: the last numbers are shown.
_ANSWER_S = 1.0


class MetricsChore:
    """Shows what the daemon counts, to who asks; a `runtime.daemon.Chore`.

    Pages are made in a thread of their own from a copy that the loop makes between two actions, so
    the sum rule can be held against every copy, and a step costs nothing.

    Args:
        server: what is shown.
        address: host and port of the pages; port 0 takes a free one.
        heartbeat: of the daemon's loop.
        limit_s: after so long without a turn of the loop `/healthz` says 503.
        log: where the address and breaches of the sum rule are told.
        facts: what the daemon runs.

    Raises:
        FeedError: nothing can listen at the address.
    """

    def __init__(
        self,
        server: FeedServer,
        address: tuple[str, int],
        heartbeat: Heartbeat,
        limit_s: float,
        log: EventLog,
        facts: Callable[[], Facts] | None = None,
    ) -> None:
        self._server = server
        self._heartbeat = heartbeat
        self._limit_s = limit_s
        self._log = log
        self._facts = facts or (lambda: facts_of(server.deployment))
        self._began_s = heartbeat.clock()
        self._waker, self._wake = socket.socketpair()
        for end in (self._waker, self._wake):
            end.setblocking(False)
        self._asking = threading.Lock()
        self._asked, self._answered = threading.Event(), threading.Event()
        self._copy()
        routes = {"/metrics": self._metrics, "/healthz": self._healthz}
        try:
            self._pages = PageServer(*address, routes, "[metrics] bind")
        except BaseException:
            self._close_sockets()
            raise
        log.info("metrics", url=f"{self._pages.url}/metrics")

    @property
    def sources(self) -> Sequence[Any]:
        """What wakes the loop when somebody asks."""
        return (self._waker,)

    @property
    def url(self) -> str:
        """Where the pages are, `http://127.0.0.1:9464`."""
        return self._pages.url

    def tick(self) -> None:
        """Copy what is counted, if somebody has asked."""
        if self._asked.is_set():
            with suppress(BlockingIOError):
                self._waker.recv(64)
            self._asked.clear()
            self._copy()
            self._answered.set()

    def close(self) -> None:
        """Stop showing."""
        self._pages.close()
        self._close_sockets()

    def _copy(self) -> None:
        copy = self._server.snapshot()
        for stream in copy.streams:
            missing = unaccounted(stream.counters)
            if missing:
                self._log.error(
                    "unaccounted",
                    stream=stream.name,
                    events=missing,
                    counters=stream.counters.as_dict(),
                )
        facts, registered = self._facts(), self._server.gauges.read()
        # One name for all: a page is made of one instant's numbers.
        self._latest: tuple[ServerSnapshot, Facts, Iterable[tuple[Gauge, float]], float] = (
            copy,
            facts,
            registered,
            self._heartbeat.clock(),
        )

    def _ask(self) -> None:
        """Let the loop make a copy, and wait for it as long as may be expected."""
        if not self._asking.acquire(timeout=_ANSWER_S):
            return
        try:
            self._answered.clear()
            self._asked.set()
            with suppress(BlockingIOError):
                self._wake.send(b"\0")
            self._answered.wait(_ANSWER_S)
        finally:
            self._asking.release()

    def _metrics(self, accept: str) -> Page:
        self._ask()
        server, facts, registered, at_s = self._latest
        now_s = self._heartbeat.clock()
        scrape = Scrape(server, facts, now_s - self._began_s, now_s - at_s)
        body, content_type = render(ScrapeCollector(lambda: scrape, lambda: registered), accept)
        return Page(200, content_type, body)

    def _healthz(self, _accept: str) -> Page:
        still_s = self._heartbeat.age_s()
        stopping, stuck = self._heartbeat.stopping, still_s >= self._limit_s
        health = {
            "ok": not (stopping or stuck),
            "state": "stuck" if stuck else "stopping" if stopping else "serving",
            "still_s": round(still_s, 3),
            "limit_s": self._limit_s,
            "uptime_s": round(self._heartbeat.clock() - self._began_s, 3),
        }
        body = msgspec.json.encode(health) + b"\n"
        return Page(200 if health["ok"] else 503, "application/json", body)

    def _close_sockets(self) -> None:
        self._waker.close()
        self._wake.close()
