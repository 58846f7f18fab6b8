"""A watched daemon in a thread, and its pages as a scraper gets them."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from retempo.runtime.daemon import Chore
from retempo.runtime.deployment import Deployment
from retempo.runtime.event_log import EventLog
from retempo.runtime.facts import Facts
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.heartbeat import Heartbeat
from retempo.runtime.metrics_chore import MetricsChore
from retempo.runtime.sd_notify import SystemdNotifier
from retempo.runtime.watchdog import Watchdog, WatchdogSettings
from tests.runtime.stand_in import RECEIVE_S, RunningDaemon, running_daemon

FACTS = Facts("m.onnx", "0" * 64, "stand-in", "none", "lag", "block", 1_000, ("off", "on"))
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def fetch(url: str, path: str, method: str = "GET") -> tuple[int, str, str]:
    """The status, the content type and the body of a page."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=RECEIVE_S)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read().decode()
        return response.status, response.headers["Content-Type"], body
    finally:
        connection.close()


def values_of(text: str) -> Values:
    """Every sample of a page by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(values: Values, name: str, **labels: str) -> float:
    return values[name, tuple(sorted(labels.items()))]


@dataclass
class Watched:
    """What the chores of a watched daemon are, once it runs."""

    daemon: RunningDaemon
    servers: list[FeedServer]
    metrics: list[MetricsChore]
    exits: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.metrics[0].url

    def scrape(self) -> Values:
        status, _, body = fetch(self.url, "/metrics")
        assert status == 200
        return values_of(body)


@contextmanager
def watched_daemon(
    served: Deployment | None = None,
    settings: WatchdogSettings | None = None,
    facts: Callable[[], Facts] | None = lambda: FACTS,
    notifier: SystemdNotifier | None = None,
    **options: Any,
) -> Iterator[Watched]:
    """Serve with both chores; the watchdog's exits are noted and not made."""
    settings = settings or WatchdogSettings()
    heartbeat, exits = Heartbeat(), list[int]()
    servers, metrics = list[FeedServer](), list[MetricsChore]()
    log = EventLog(interval_s=0.0)

    def watchdog(server: FeedServer) -> Chore:
        servers.append(server)
        return Watchdog(
            server, settings, heartbeat, log, notifier or SystemdNotifier({}), exits.append
        )

    def pages(server: FeedServer) -> Chore:
        chore = MetricsChore(
            server, ("127.0.0.1", 0), heartbeat, settings.limit_s, log, facts=facts
        )
        metrics.append(chore)
        return chore

    with running_daemon(served=served, chores=[watchdog, pages], log=log, **options) as daemon:
        yield Watched(daemon, servers, metrics, exits)
