"""The control socket of a real daemon: what it answers, and what cannot hold up its loop."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from retempo.runtime.control import check_local
from retempo.runtime.control_client import ask
from retempo.runtime.control_protocol import Status
from retempo.runtime.errors import FeedError
from retempo.runtime.publisher import publish
from tests.cli.conftest import Invoke, invoke
from tests.runtime.live_model import Controlled, config_text, model_bytes, network, serving
from tests.runtime.stand_in import RECEIVE_S, Peer, Recorded, events

__all__ = ["invoke"]

A, B = model_bytes(network(0)), model_bytes(network(1))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Controlled]:
    (tmp_path / "a.onnx").write_bytes(A)
    (tmp_path / "b.onnx").write_bytes(B)
    (tmp_path / "serve.toml").write_text(config_text())
    with serving(tmp_path) as daemon:
        yield daemon


@contextmanager
def stand_in(at: str) -> Iterator["zmq.Socket[Any]"]:
    """Listen in a daemon's place."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.set(zmq.LINGER, 0)
        router.set(zmq.RCVTIMEO, int(1e3 * RECEIVE_S))
        router.bind(at)
        yield router


def endpoint(daemon: Controlled) -> str:
    return f"ipc://{daemon.folder / 'control'}"


def test_rubbish_is_answered_and_a_peer_that_never_reads_holds_up_nobody(
    daemon: Controlled,
) -> None:
    with Peer(endpoint(daemon)) as peer:
        bodies = (b"", b"{", b"[]", b'{"do": "dance"}', b'{"do": "swap", "model": 1}', b"\xff")
        for body in (*bodies, b"[" * 60_000, b'{"do": "status", "extra": 1}'):
            peer.send([b"", body])
            _, reply = peer.socket.recv_multipart()
            answer = json.loads(reply)
            assert (answer["ok"], answer["kind"]) == (False, "request")
            assert answer["error"].startswith("this is no request:")
        # Frames that are no request at all have no answer; nor is a reader needed for one.
        peer.send([b"x"] * 50)
        for _ in range(300):
            peer.send([b"", b'{"do": "status"}'])
        report = publish(Recorded("a", [events(list(range(0, 50_000, 90)), 50_000)]), daemon.feed)
        assert report.counters["binned"] == len(range(0, 50_000, 90))
    assert daemon.status()["ok"]


def test_a_message_over_the_limit_drops_its_peer_alone(daemon: Controlled) -> None:
    with Peer(endpoint(daemon)) as peer:
        peer.socket.set(zmq.RCVTIMEO, 200)
        peer.send([b"", b" " * (1 << 17)])
        with pytest.raises(zmq.Again):
            peer.receive()
    assert daemon.status()["ok"]


def test_status_names_the_model_the_streams_and_their_counters(daemon: Controlled) -> None:
    status = daemon.status()
    assert status["streams"] == []
    assert (status["model"]["name"], status["model"]["dt_us"]) == ("a.onnx", 1_000)
    assert len(status["model"]["sha256"]) == 64
    assert (status["model"]["engine"], status["swapping"]) == ("sparse", False)
    publish(Recorded("a", [events([1_000, 2_000], 3_000)]), daemon.feed)
    report = daemon.status()["report"]
    assert (report["streams"], report["counters"]["received"], report["swaps"]) == (1, 2, 0)


def test_a_second_swap_waits_for_nobody(daemon: Controlled) -> None:
    with Peer(endpoint(daemon)) as peer:
        for name in (b"b.onnx", b"a.onnx"):
            peer.send([b"", b'{"do": "swap", "model": "' + name + b'"}'])
        peer.socket.set(zmq.RCVTIMEO, int(6e3 * RECEIVE_S))
        replies = [json.loads(peer.socket.recv_multipart()[-1]) for _ in range(2)]
    busy, done = replies
    assert (busy["ok"], busy["kind"]) == (False, "busy")
    assert (done["ok"], done["model"]) == (True, "b.onnx")


def test_a_signal_during_a_trial_ends_the_daemon_at_once(daemon: Controlled) -> None:
    with Peer(endpoint(daemon)) as peer:
        peer.send([b"", b'{"do": "swap", "model": "b.onnx"}'])
        while not daemon.status()["swapping"]:
            assert daemon.process.poll() is None
        daemon.stop()
    assert daemon.lines("totals")


def test_the_command_line_asks_and_tells(daemon: Controlled, invoke: Invoke) -> None:
    at = endpoint(daemon)
    assert "a.onnx" in invoke("control", at, "status").out
    refused = invoke("control", at, "swap", "none.onnx")
    assert refused.code == 1
    assert refused.err.startswith("retempo: the daemon refuses: cannot read the model")
    assert daemon.status()["report"]["swap_refusals"] == 1
    outcome = invoke("control", at, "swap", "b.onnx", "--json")
    assert (outcome.code, outcome.json["model"]) == (0, "b.onnx")  # type: ignore[index]
    assert "serves already b.onnx" in invoke("control", at, "swap", "b.onnx").out
    assert invoke("control", at, "status", "b.onnx").code == 1
    assert invoke("control", at, "stop").out == "stopping\n"
    assert daemon.process.wait(RECEIVE_S) == 0
    gone = invoke("control", at, "status", "--timeout", "0.1")
    assert "no daemon answers at" in gone.err
    assert "nobody listens there within 0.1 s" in gone.err


@pytest.mark.parametrize("kind", ["ipc", "tcp"])
def test_where_nobody_listens_is_not_waited_for_as_long_as_for_a_busy_daemon(
    tmp_path: Path, kind: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    at = f"ipc://{tmp_path / 'control'}" if kind == "ipc" else f"tcp://127.0.0.1:{port}"
    began_s = time.monotonic()
    with pytest.raises(FeedError, match="nobody listens there within 2 s"):
        ask(at, Status(), 60.0)
    assert time.monotonic() - began_s < 20.0


def test_who_listens_is_waited_for_beyond_the_time_to_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retempo.runtime.control_client.CONNECT_S", 0.2)
    at = f"ipc://{tmp_path / 'control'}"
    with stand_in(at) as busy, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, at, Status(), RECEIVE_S)
        frames = busy.recv_multipart()
        with pytest.raises(TimeoutError):
            asked.result(0.5)
        busy.send_multipart([*frames[:-1], b'{"ok": true}'])
        assert asked.result(RECEIVE_S) == {"ok": True}
        with pytest.raises(FeedError, match="somebody listens there: it is busy or stopped"):
            ask(at, Status(), 0.3)


def test_a_daemon_that_goes_before_it_answers_is_not_waited_for(tmp_path: Path) -> None:
    at = f"ipc://{tmp_path / 'control'}"
    with stand_in(at) as dying, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, at, Status(), 60.0)
        dying.recv_multipart()
        dying.close()
        with pytest.raises(FeedError, match="the connection broke before an answer came"):
            asked.result(20.0)


def test_only_its_owner_may_connect(daemon: Controlled) -> None:
    assert (daemon.folder / "control").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "public", ["tcp://0.0.0.0:7712", "tcp://*:1", "tcp://192.168.1.2:7", "ipc://@x", "inproc://x"]
)
def test_an_endpoint_that_is_not_local_is_refused(public: str) -> None:
    with pytest.raises(FeedError, match="is not local"):
        check_local(public)


@pytest.mark.parametrize("local", ["ipc:///run/c", "tcp://127.0.0.1:*", "tcp://[::1]:7712"])
def test_a_local_endpoint_passes(local: str) -> None:
    check_local(local)
