"""Endpoints bound and refused: ports in use, sockets left behind, files in the way."""

import signal
import socket
from pathlib import Path

import pytest

from retempo.runtime.daemon import run_daemon
from retempo.runtime.errors import FeedError
from retempo.runtime.publisher import publish
from retempo.runtime.security.settings import Security
from tests.runtime.stand_in import (
    Recorded,
    deployment,
    events,
    running_daemon,
    stand_in_process,
)


def test_a_port_in_use_is_said_with_the_key_that_sets_it() -> None:
    with running_daemon() as daemon:
        for feed, out, key in (
            (daemon.feed, "tcp://127.0.0.1:*", r"\[feed\] bind"),
            ("tcp://127.0.0.1:*", daemon.feed, r"\[decisions\] bind"),
        ):
            with pytest.raises(FeedError, match=f"{daemon.feed}: the port is in use; .* {key}"):
                run_daemon(deployment(), feed, out)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("nonsense", "is no endpoint; write tcp://"),
        ("smoke://here", "is no endpoint; write tcp://"),
        ("tcp://192.0.2.1:7710", "no address of this machine"),
        ("ipc:///" + "x" * 200, "cannot listen at|is no endpoint"),
    ],
)
def test_an_endpoint_that_cannot_be_bound_is_refused(endpoint: str, reason: str) -> None:
    with pytest.raises(FeedError, match=reason):
        run_daemon(
            deployment(), endpoint, "tcp://127.0.0.1:*", security=Security(clear_on_network=True)
        )


def test_an_ipc_socket_left_by_a_killed_daemon_is_taken_over(tmp_path: Path) -> None:
    feed, out = (f"ipc://{tmp_path / name}" for name in ("feed", "out"))
    with stand_in_process(feed, out) as daemon:
        daemon.stop(signal.SIGKILL)
    assert (tmp_path / "feed").is_socket()
    with stand_in_process(feed, out) as daemon:
        assert daemon.feed == feed
        assert publish(Recorded("a", [events([1])]), feed).events == 1
        with pytest.raises(FeedError, match="another program listens there"):
            run_daemon(deployment(), feed, "tcp://127.0.0.1:*")


def test_a_file_in_the_place_of_an_ipc_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(FeedError, match="a file is in the way; move it"):
        run_daemon(deployment(), f"ipc://{path}", "tcp://127.0.0.1:*")
    assert path.read_text() == "mine"


def test_the_loopback_port_is_free_again_at_once() -> None:
    with running_daemon() as daemon:
        endpoint = daemon.feed
    port = int(endpoint.rsplit(":", 1)[1])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
