"""Who is let in: the answers of ZAP, the count of peers, which endpoints the network reaches."""

from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from retempo.runtime.security.errors import SecurityError
from retempo.runtime.security.exposure import check_exposed, is_local
from retempo.runtime.security.keys import new_keys
from retempo.runtime.security.monitors import Happening
from retempo.runtime.security.peers import Peers
from retempo.runtime.security.settings import security_of
from retempo.runtime.security.zap import (
    ACCEPTED,
    FULL,
    NOT_LISTED,
    Request,
    answer,
    judge,
    read_request,
)
from retempo.runtime.serve_config import SecurityConfig

RAW = bytes(range(32))
CURVE = Request(b"1", "0", "10.0.0.7", "CURVE", "k" * 40)
CLEAR = Request(b"1", "0", "127.0.0.1", "NULL", "")


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://127.0.0.1:7710", "tcp://127.3.2.1:*", "tcp://[::1]:7710", "ipc:///run/a", "inproc://a"],
)
def test_a_local_endpoint_may_be_in_clear(endpoint: str) -> None:
    assert is_local(endpoint)
    check_exposed(endpoint, "[feed] bind", encrypted=False, clear_on_network=False)


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://0.0.0.0:7710",
        "tcp://*:7710",
        "tcp://*:*",
        "tcp://10.1.2.3:7710",
        "tcp://[::]:7710",
        "tcp://[fe80::1%eth0]:7710",
        "tcp://[::ffff:10.0.0.1]:7710",
        "tcp://lo:7710",
        "tcp://localhost:7710",
        "tcp://eth0:7710",
        "tcp://127.1:7710",
        "tcp://2130706433:7710",
        "tcp://127.0.0.1.example.org:7710",
        "tcp://10.0.0.1:1;127.0.0.1:7710",
        "tcp://127.0.0.1;0.0.0.0:7710",
        "tcp://:7710",
    ],
)
def test_the_network_is_not_served_in_clear_unless_asked_for(endpoint: str) -> None:
    with pytest.raises(SecurityError, match=r"\[feed\] bind .* clear_on_network = true"):
        check_exposed(endpoint, "[feed] bind", encrypted=False, clear_on_network=False)
    check_exposed(endpoint, "[feed] bind", encrypted=True, clear_on_network=False)
    check_exposed(endpoint, "[feed] bind", encrypted=False, clear_on_network=True)


def test_a_listed_key_is_let_in_under_its_name() -> None:
    verdict = judge(CURVE, {"k" * 40: "cam"}.get, 0, 1)
    assert (verdict.code, verdict.name) == (ACCEPTED, "cam")
    assert answer(CURVE.number, verdict) == [b"1.0", b"1", b"200", b"welcome", b"cam", b""]


@pytest.mark.parametrize(
    ("request_", "keys", "others", "code"),
    [
        (CURVE, {}, 0, NOT_LISTED),
        (CLEAR, {"": "nobody"}, 0, NOT_LISTED),
        (CURVE, None, 0, NOT_LISTED),
        (CLEAR, None, 2, ACCEPTED),
        (CLEAR, None, 3, FULL),
        (CURVE, {"k" * 40: "cam"}, 3, FULL),
        (CURVE, {}, 3, NOT_LISTED),
    ],
)
def test_nobody_else_is(
    request_: Request, keys: dict[str, str] | None, others: int, code: int
) -> None:
    assert judge(request_, keys.get if keys is not None else None, others, 3).code == code


def test_a_request_is_read() -> None:
    head = [b"1.0", b"7", b"0", b"10.0.0.7", b"id"]
    read = read_request([*head, b"CURVE", RAW])
    assert read is not None
    assert zmq.utils.z85.decode(read.key) == RAW
    assert read_request([*head, b"NULL"]) == Request(b"7", "0", "10.0.0.7", "NULL", "")
    assert read_request([*head, b"CURVE"]) is None
    assert read_request([*head, b"CURVE", RAW[:-1]]) is None
    assert read_request([b"2.0", *head[1:], b"NULL"]) is None


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_frames_that_are_no_request_are_none(frames: list[bytes]) -> None:
    if frames[:1] != [b"1.0"]:
        assert read_request(frames) is None
    else:
        read_request(frames)


def accepted(peers: Peers, descriptors: range, now_s: float) -> None:
    for descriptor in descriptors:
        peers.happened(Happening(zmq.EVENT_ACCEPTED, descriptor), now_s, f"peer {descriptor}")


def gone(peers: Peers, descriptors: range, now_s: float) -> None:
    for descriptor in descriptors:
        peers.happened(Happening(zmq.EVENT_DISCONNECTED, descriptor), now_s)


def test_idle_connections_are_no_peers_and_peers_stay_peers() -> None:
    peers = Peers(handshake_s=2.5)
    accepted(peers, range(3), 0.0)
    for _ in range(3):
        peers.admit(0.1)
        peers.happened(Happening(zmq.EVENT_HANDSHAKE_SUCCEEDED, 0), 0.1)
    assert peers.connected(0.1) == 3
    accepted(peers, range(10, 1_010), 10.0)
    assert peers.connected(10.0) == 3
    assert peers.others(10.0) == 3
    for _ in range(1_000):
        peers.happened(Happening(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, 11), 12.0)
    gone(peers, range(10, 1_010), 12.0)
    assert peers.settle(12.0) == 1_000
    assert peers.settle(12.0) == 0
    assert (peers.connected(12.0), peers.suspect) == (3, "peer 1009")
    gone(peers, range(3), 20.0)
    assert peers.settle(20.0) == 0
    assert peers.connected(20.0) == 0


def test_a_greeting_that_ends_without_an_event_of_its_own_is_a_failure_too() -> None:
    peers = Peers(handshake_s=2.5)
    accepted(peers, range(1), 0.0)
    gone(peers, range(1), 0.1)
    assert peers.settle(0.1) == 1
    assert peers.failures == 1


def test_who_is_being_judged_does_not_count_itself() -> None:
    peers = Peers(handshake_s=2.5)
    accepted(peers, range(1), 0.0)
    assert peers.others(0.0) == 0
    peers.admit(0.0)
    accepted(peers, range(1, 2), 0.0)
    assert peers.others(0.0) == 1


@given(st.lists(st.sampled_from(["come", "enter", "go", "fail", "wait"]), max_size=60))
def test_the_count_is_never_below_the_truth(actions: list[str]) -> None:
    peers = Peers(handshake_s=2.5)
    now_s, descriptor = 0.0, 0
    waiting: dict[int, float] = {}
    inside: list[int] = []
    for action in actions:
        if action == "come":
            descriptor += 1
            accepted(peers, range(descriptor, descriptor + 1), now_s)
            waiting[descriptor] = now_s
        elif action == "enter" and waiting:
            inside.append(waiting.popitem()[0])
            peers.admit(now_s)
            peers.happened(Happening(zmq.EVENT_HANDSHAKE_SUCCEEDED, 0), now_s)
        elif action == "go" and inside:
            peers.happened(Happening(zmq.EVENT_DISCONNECTED, inside.pop()), now_s)
        elif action == "fail" and waiting:
            peers.happened(Happening(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, 32), now_s)
            peers.happened(Happening(zmq.EVENT_DISCONNECTED, waiting.popitem()[0]), now_s)
        elif action == "wait":
            now_s += 1.0
            for late in [d for d, since_s in waiting.items() if now_s - since_s >= 2.0]:
                del waiting[late]
                peers.happened(Happening(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, 11), now_s)
                peers.happened(Happening(zmq.EVENT_DISCONNECTED, late), now_s)
        peers.settle(now_s)
        assert peers.connected(now_s) >= len(inside)
        assert peers.failures <= peers.accepted - peers.succeeded - len(waiting)
    for late in waiting:
        peers.happened(Happening(zmq.EVENT_DISCONNECTED, late), now_s)
    peers.settle(now_s, closing=True)
    assert peers.failures == peers.accepted - peers.succeeded
    assert peers.connected(now_s + 3.0) == len(inside)


def test_keys_and_a_list_come_together(tmp_path: Path) -> None:
    made = new_keys("server", tmp_path)
    for config, words in (
        (SecurityConfig(keys=made.secret.name), "has keys but no allow"),
        (SecurityConfig(allow=made.public.name), "has allow but no keys"),
    ):
        with pytest.raises(SecurityError, match=words):
            security_of(config, tmp_path)
    whole = security_of(SecurityConfig(keys="server.key", allow="server.pub"), tmp_path)
    assert whole.keys is not None
    assert whole.allow is not None
    assert whole.allow.name_of(whole.keys.public) == "server"
