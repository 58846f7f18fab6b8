"""Row 23: step thread stuck; slow subscriber.

Expected: watchdog fed from the step loop; publisher never blocks, drops counted.
"""

import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from retempo.runtime.feed import Credit
from retempo.runtime.subscriber import Decisions
from retempo.runtime.watchdog import STUCK_EXIT
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.daemons import TIMEOUT_S, Daemon, started
from tests.faults.stuck_daemon import LIMIT_S
from tests.runtime.stand_in import GRID, RECEIVE_S, Peer, events
from tests.runtime.watched import fetch, value, values_of, watched_daemon

pytestmark = pytest.mark.fault(23)


def stick(running: Daemon) -> None:
    """Let the daemon begin a step that never ends."""
    at = Cursor("stuck", GRID, 5)
    with (
        Peer(running.feed) as peer,
        Decisions(running.decisions, timeout_s=TIMEOUT_S) as decisions,
    ):
        peer.send(encode_message("open", no_events(GRID, 0), at))
        peer.send(encode_message("events", events([1], 2_000), at))
        next(iter(decisions))


def health_of(url: str) -> tuple[int, dict[str, object]]:
    status, _, body = fetch(url, "/healthz")
    return status, json.loads(body)


def test_a_stuck_loop_is_logged_with_its_place_and_unhealthy_and_systemd_hears_no_more(
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(TIMEOUT_S)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "3000000",
        }
        with started("-m", "tests.faults.stuck_daemon", environment=environment) as running:
            url = running.wait_for("metrics")["url"].removesuffix("/metrics")
            assert systemd.recv(4_096).startswith(b"READY=1\nWATCHDOG=1\n")
            assert health_of(url)[0] == 200
            stick(running)
            stuck = running.wait_for("stuck")
            status, health = health_of(url)
            page, _, text = fetch(url, "/metrics")
            systemd.settimeout(0.0)
            with suppress(BlockingIOError):
                while systemd.recv(4_096):
                    pass
            # In a loop that turns, systemd would hear of it within a second.
            systemd.settimeout(1.5)
            with pytest.raises(TimeoutError):
                systemd.recv(4_096)
            assert running.process.poll() is None
    assert (stuck["level"], stuck["limit_s"], stuck["exit"]) == ("error", LIMIT_S, None)
    assert "stand_in.py:" in stuck["stack"]
    assert "daemon.py:" in stuck["stack"]
    assert (status, health["state"], health["ok"]) == (503, "stuck", False)
    # The last numbers are still shown, and how old they are.
    assert page == 200
    assert value(values_of(text), "retempo_snapshot_age_seconds") >= 1.0


def test_a_stuck_daemon_that_shall_end_ends_with_its_own_code() -> None:
    with started("-m", "tests.faults.stuck_daemon", "exit") as running:
        stick(running)
        assert running.wait_for("stuck")["exit"] == STUCK_EXIT
        assert running.process.wait(TIMEOUT_S) == STUCK_EXIT


def test_a_slow_subscriber_blocks_nobody_and_what_it_misses_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("retempo.runtime.decisions_out.QUEUED_DECISIONS", 2_000)
    at, steps = Cursor("a", GRID, 5), 40_000
    with (
        watched_daemon() as watched,
        Decisions(watched.daemon.decisions, timeout_s=RECEIVE_S) as slow,
        Peer(watched.daemon.feed) as peer,
    ):
        peer.send(encode_message("open", no_events(GRID, 0), at))
        for piece in (events([0]), no_events(GRID, steps * 1_000)):
            peer.send(encode_message("events", piece, at))
            at = at.after(piece)
        while True:
            credit = peer.receive()
            if isinstance(credit, Credit) and credit.acknowledged == 1:
                break
        # The daemon has stepped all of it although nobody has read a decision.
        values = watched.scrape()
        received = 0
        # Longer than it takes to ask for what the daemon still has.
        while slow.receive(timeout_s=3.0) is not None:
            received += 1
        last = encode_message("events", no_events(GRID, (steps + 1) * 1_000), at)
        peer.send(last)
        assert next(iter(slow)).sequence == steps
    assert value(values, "retempo_stream_decisions_total", stream="a") == steps
    # The daemon counts how often the queue ran full, the subscriber what it has missed.
    assert slow.missed["a"] == steps - received
    assert 0 < value(values, "retempo_subscriber_overflows_total") <= slow.missed["a"]


def test_a_client_that_does_not_read_its_page_holds_up_neither_loop_nor_scraper() -> None:
    at = Cursor("a", GRID, 5)
    with watched_daemon() as watched, Peer(watched.daemon.feed) as peer:
        place = urlsplit(watched.url)
        with socket.create_connection((place.hostname, place.port), timeout=RECEIVE_S) as lazy:
            lazy.sendall(b"GET /metrics HTTP/1.0\r\n")  # and no end of the headers
            peer.send(encode_message("open", no_events(GRID, 0), at))
            assert isinstance(peer.receive(), Credit)
            assert value(watched.scrape(), "retempo_streams") == 1
