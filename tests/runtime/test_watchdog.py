"""The watchdog: fed by the loop, heard by systemd, and what it says of a loop that stands still."""

import socket
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import cast

import msgspec
import pytest

from retempo.runtime.errors import ConfigError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.feed_stream import FeedReport
from retempo.runtime.heartbeat import Heartbeat, Watch, look
from retempo.runtime.operations import metrics_address, watchdog_settings, watching
from retempo.runtime.sd_notify import SystemdNotifier
from retempo.runtime.serve_config import MetricsConfig, WatchdogConfig
from retempo.runtime.watchdog import STUCK_EXIT, Watchdog, WatchdogSettings
from tests.runtime.watched import watched_daemon


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The other end of the notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(10.0)
        yield end


def notifier_to(systemd: socket.socket, limit_s: float | None = None) -> SystemdNotifier:
    environment = {"NOTIFY_SOCKET": systemd.getsockname()}
    if limit_s is not None:
        environment["WATCHDOG_USEC"] = str(round(limit_s * 1e6))
    return SystemdNotifier(environment)


def test_a_loop_is_stuck_by_the_time_that_its_watcher_has_lived_through() -> None:
    watch = look(Watch(), beats=3, elapsed_s=1.0, period_s=1.0)
    assert watch == Watch(3, 0.0)
    for _ in range(4):
        watch = look(watch, beats=3, elapsed_s=1.0, period_s=1.0)
    assert watch.still_s == 4.0
    # Both were stopped for a day: the loop has had no chance to come round.
    watch = look(watch, beats=3, elapsed_s=86_400.0, period_s=1.0)
    assert watch.still_s == 6.0
    assert look(watch, beats=4, elapsed_s=1.0, period_s=1.0) == Watch(4, 0.0)


def test_systemd_hears_that_the_daemon_is_ready_lives_and_stops(systemd: socket.socket) -> None:
    notifier = notifier_to(systemd, limit_s=30.0)
    assert notifier.watchdog_s == 30.0
    with watched_daemon(notifier=notifier):
        first = systemd.recv(4_096).decode().splitlines()
        second = systemd.recv(4_096).decode().splitlines()
    rest = [first, second]
    while rest[-1][0] != "STOPPING=1":
        rest.append(systemd.recv(4_096).decode().splitlines())
    assert first[:2] == ["READY=1", "WATCHDOG=1"]
    assert second[0] == "WATCHDOG=1"
    assert first[2] == "STATUS=0 streams opened, 0 messages received"
    assert sum(line == "READY=1" for lines in rest for line in lines) == 1


def test_an_abstract_address_is_heard_and_none_at_all_is_silence() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind("\0retempo-test-notify")
        end.settimeout(10.0)
        notifier = SystemdNotifier({"NOTIFY_SOCKET": "@retempo-test-notify"})
        notifier.send("READY=1")
        assert end.recv(64) == b"READY=1"
        notifier.close()
    notifier.send("READY=1")
    silent = SystemdNotifier({"WATCHDOG_USEC": "5000000"})
    silent.send("READY=1")
    silent.close()
    assert silent.watchdog_s is None


class NoServer:
    report = FeedReport()


@pytest.mark.parametrize("stopping", [False, True])
def test_a_loop_that_stands_still_is_told_with_its_place_and_ended_unless_it_stops(
    stopping: bool,
) -> None:
    out, told, exits = StringIO(), threading.Event(), list[int]()

    class Telling(EventLog):
        def error(self, event: str, **fields: object) -> None:
            super().error(event, **fields)
            told.set()

    heartbeat = Heartbeat()
    dog = Watchdog(
        cast(FeedServer, NoServer()),
        WatchdogSettings(limit_s=0.04, exit=True),
        heartbeat,
        Telling(out=out),
        SystemdNotifier({}),
        exits.append,
    )
    if stopping:
        dog.stopping()
    assert told.wait(10.0)
    dog.close()
    (line,) = map(msgspec.json.decode, out.getvalue().splitlines())
    assert (line["level"], line["event"], line["limit_s"]) == ("error", "stuck", 0.04)
    assert "test_watchdog.py:" in line["stack"]
    assert "test_a_loop_that_stands_still" in line["stack"]
    assert "\n" not in line["stack"]
    assert exits == ([] if stopping else [STUCK_EXIT])


def test_the_limit_and_the_address_are_checked() -> None:
    assert watchdog_settings(WatchdogConfig(limit="3s", exit=True)) == WatchdogSettings(3.0, True)
    with pytest.raises(ConfigError, match=r"\[watchdog\] limit is 2 s or more.*got 1s"):
        watchdog_settings(WatchdogConfig(limit="1s"))
    with pytest.raises(ConfigError, match=r"\[watchdog\] limit: "):
        watchdog_settings(WatchdogConfig(limit="soon"))
    assert metrics_address(MetricsConfig()) is None
    for bind, address in {
        "127.0.0.1:9464": ("127.0.0.1", 9464),
        "localhost:*": ("localhost", 0),
        "[::1]:80": ("::1", 80),
        "127.9.9.9:0": ("127.9.9.9", 0),
    }.items():
        assert metrics_address(MetricsConfig(bind=bind)) == address
    for bind in ("9464", "127.0.0.1", "127.0.0.1:70000", "http://127.0.0.1:80", "::1:80", ""):
        with pytest.raises(ConfigError, match=r"\[metrics\] bind is host:port"):
            metrics_address(MetricsConfig(bind=bind))
    for bind in ("0.0.0.0:9464", "[::]:9464", "192.168.1.5:9464", "robot.example:9464"):
        with pytest.raises(ConfigError, match=r"open to the network.*on_network = true"):
            metrics_address(MetricsConfig(bind=bind))
        assert metrics_address(MetricsConfig(bind=bind, on_network=True)) is not None


def test_without_metrics_there_is_the_watchdog_alone() -> None:
    assert len(watching(MetricsConfig(), WatchdogConfig(), EventLog())) == 1
    assert len(watching(MetricsConfig(bind="127.0.0.1:*"), WatchdogConfig(), EventLog())) == 2
