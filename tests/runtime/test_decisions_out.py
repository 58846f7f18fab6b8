"""What subscribers ask of a daemon and are sent: bare sockets of one process."""

from collections.abc import Iterator

import pytest
import zmq

from retempo.runtime.decisions_out import (
    AGAIN,
    ANSWER,
    HELLO,
    After,
    DecisionsOut,
    again_topic,
    decisions_socket,
    stands_of,
)
from retempo.runtime.errors import FeedError
from retempo.runtime.finished import Finished, FinishedStreams
from tests.runtime.stand_in import RECEIVE_S
from tests.runtime.test_decision_order import decision

TIMEOUT_MS = int(RECEIVE_S * 1e3)


@pytest.fixture
def ends() -> Iterator[tuple[DecisionsOut, "zmq.Socket[bytes]"]]:
    with (
        zmq.Context() as context,
        decisions_socket(context) as sock,
        context.socket(zmq.SUB) as sub,
    ):
        sock.bind("tcp://127.0.0.1:*")
        sub.set(zmq.RCVTIMEO, TIMEOUT_MS)
        sub.set(zmq.RCVHWM, 0)
        sub.connect(sock.get_string(zmq.LAST_ENDPOINT))
        yield DecisionsOut(sock), sub


def asked(
    ends: tuple[DecisionsOut, "zmq.Socket[bytes]"], topic: bytes
) -> tuple[list[bytes], bytes]:
    """Subscribe to a topic and return what comes by it: the bodies, and the last one."""
    out, sub = ends
    sub.subscribe(topic)
    assert out.sock.poll(TIMEOUT_MS)
    out.answer()
    bodies: list[bytes] = []
    while not bodies or bodies[-1].startswith(b"{"):
        answered, body = sub.recv_multipart()
        assert answered == topic
        bodies.append(body)
    return bodies[:-1], bodies[-1]


def test_who_greets_is_greeted(ends: tuple[DecisionsOut, "zmq.Socket[bytes]"]) -> None:
    assert asked(ends, HELLO + b"12345678") == ([], b"\x90")


def test_who_greets_is_told_where_the_streams_stand(
    ends: tuple[DecisionsOut, "zmq.Socket[bytes]"],
) -> None:
    out, _ = ends
    for one in (decision(7, 0), decision(7, 1), decision(8, 0)):
        out.publish(one)
    _, body = asked(ends, HELLO + b"12345678")
    assert stands_of(body) == (After("a", 8, 0),)


@pytest.mark.parametrize("body", [b"\xc1", b"end 0", b"\x91\x90"])
def test_a_greeting_that_is_answered_with_nonsense_is_an_error(body: bytes) -> None:
    with pytest.raises(FeedError, match="says where no stream stands"):
        stands_of(body)


def test_an_answer_holds_so_many_and_says_whether_there_is_more(
    ends: tuple[DecisionsOut, "zmq.Socket[bytes]"],
) -> None:
    out, _ = ends
    for sequence in range(ANSWER + 10):
        out.publish(decision(7, sequence))
    bodies, last = asked(ends, again_topic(b"1" * 8, After("a", 7, 4)))
    assert (len(bodies), last) == (ANSWER, b"more 1000")
    assert bodies == [out.encode(decision(7, k)) for k in range(5, ANSWER + 5)]
    bodies, last = asked(ends, again_topic(b"2" * 8, After("a", 7, ANSWER + 4)))
    assert (len(bodies), last) == (5, b"end 5")
    assert asked(ends, again_topic(b"3" * 8, After("b", 7, 0))) == ([], b"end 0")


@pytest.mark.parametrize("question", [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x81\xa6stream\xa1a"])
def test_a_question_that_makes_no_sense_has_an_empty_answer(
    ends: tuple[DecisionsOut, "zmq.Socket[bytes]"], question: bytes
) -> None:
    assert asked(ends, AGAIN + b"12345678" + question) == ([], b"end 0")


def test_streams_that_were_finished_are_remembered_up_to_a_bound() -> None:
    streams = FinishedStreams(kept=2)
    for epoch in range(3):
        streams.add("a", epoch, Finished(epoch, 0, 0))
    assert [streams.find("a", epoch) for epoch in range(3)] == [
        None,
        Finished(1, 0, 0),
        Finished(2, 0, 0),
    ]
