"""On what terms a client connects, and what it is told of its handshakes."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import zmq

from retempo.runtime.errors import FeedError
from retempo.runtime.publisher import Sender
from retempo.runtime.subscriber import Decisions
from tests.runtime.stand_in import RECEIVE_S, Recorded, events, running_daemon


@dataclass
class Listening:
    """Terms of which a test sees what they are told."""

    prepared: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)

    def prepare(self, sock: "zmq.Socket[Any]") -> None:
        self.prepared.append(sock.get_string(zmq.LAST_ENDPOINT))

    def happened(self, kind: int, value: int) -> None:
        assert isinstance(value, int)
        self.kinds.append(kind)

    def why_silent(self) -> str | None:
        return "nobody likes it" if zmq.EVENT_HANDSHAKE_SUCCEEDED not in self.kinds else None


def test_terms_see_the_socket_before_it_is_connected_and_its_handshake() -> None:
    feed, decisions = Listening(), Listening()
    with (
        running_daemon() as daemon,
        Sender(daemon.feed, terms=feed) as sender,
        Decisions(daemon.decisions, timeout_s=RECEIVE_S, terms=decisions) as subscriber,
    ):
        sender.publish(Recorded("a", [events([1, 2])]))
        next(iter(subscriber))
    # No endpoint yet: libzmq says so by an empty one.
    assert feed.prepared == decisions.prepared == [""]
    assert decisions.kinds == [zmq.EVENT_HANDSHAKE_SUCCEEDED]


def test_why_nobody_answers_is_for_the_terms_to_say() -> None:
    with (
        Sender("tcp://127.0.0.1:9", timeout_s=0.1, terms=Listening()) as sender,
        pytest.raises(FeedError, match=r"within 0\.1 s; nobody likes it$"),
    ):
        sender.publish(Recorded("a", [events([1])]))
    with pytest.raises(FeedError, match=r"within 0\.1 s; nobody likes it$"):
        Decisions("tcp://127.0.0.1:9", timeout_s=0.1, terms=Listening())
