"""Plain live messages, stepped as they come in, decide as those do that wait for their turn."""

from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.exporters.description import ChannelSpec, GridSpec
from retempo.runtime.counters import Counters
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import Reply
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.guard import GuardRules
from retempo.runtime.layout import geometry_of
from retempo.runtime.overload import Overload
from retempo.runtime.readouts import READOUTS
from retempo.runtime.recorder import Nobody
from retempo.runtime.replies import Delivery
from retempo.sensors.events import EventChunk
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode, encode_message
from retempo.sensors.wire_header import Buffer
from tests.builders import seeds
from tests.runtime.test_direct import CHANNELS, GRID, STEPS_US, deployment, geometries

ME = b"me"
Spec = GridSpec | ChannelSpec


class Side:
    """A server that is handed payloads as one kind of buffer."""

    def __init__(self, served: Deployment, kind: type[Any], **settings: Any) -> None:
        self.kind = kind
        self.decisions: list[Decision] = []
        self.replies: list[Reply] = []
        self.log = StringIO()
        self.server = FeedServer(
            served,
            self._reply,
            self.decisions.append,
            EventLog(out=self.log, interval_s=0.0),
            **settings,
        )

    def _reply(self, _owner: bytes, reply: Reply) -> Delivery:
        self.replies.append(reply)
        return "sent"

    def receive(self, header: Buffer, payload: Buffer) -> None:
        self.server.receive(ME, [bytes(header), self.kind(bytes(payload))])

    def step(self) -> None:
        while self.server.rest_us() is not None:
            self.server.turn()

    def take_none_for_plain(self) -> None:
        """Let every message that waits be taken as a chunk."""
        for stream in self.server.streams.values():
            stream.pipeline.plain = lambda *_: None  # type: ignore[method-assign]

    def seen(self) -> tuple[Any, ...]:
        lines = [msgspec.json.decode(line) for line in self.log.getvalue().splitlines()]
        streams = [
            (s.stepped, s.unanswered, s.inbox, s.clock.offset_us, s.delay, s.timings.decisions)
            for s in self.server.streams.values()
        ]
        for line in lines:
            del line["time_s"]
        return self.decisions, self.replies, streams, lines, self.server.report


def drawn_messages(spec: Spec, seed: int, number: int) -> Iterator[list[Buffer]]:
    """What a sender may say: mostly a few events a millisecond, now and then what is not plain."""
    rng = np.random.default_rng(seed)
    at = Cursor("s", geometry_of(deployment(spec, 0).layout.spec), 1)
    now_us = 10_000
    yield list(encode_message("open", no_events(at.geometry, 0), at))
    for _ in range(number):
        oddity = rng.choice(["none"] * 12 + ["back", "ahead", "silent", "many", "lost", "polarity"])
        jump_us = {"back": -5_000_000, "ahead": 40_000_000, "silent": 150_000}.get(oddity, 1_000)
        size = 5_000 if oddity == "many" else int(rng.choice([0, 1, 7, 40]))
        now_us += jump_us
        t_us = now_us - 1_000 + np.sort(rng.integers(-300, 1_000, size))
        addresses = rng.integers(0, 5 if rng.random() < 0.8 else 40, (2, size)).astype(np.uint16)
        t_end_us = now_us - int(rng.choice([0, 0, 0, 400]))
        if isinstance(spec, ChannelSpec):
            chunk = EventChunk(t_us, t_end_us, channel=addresses[0])
        else:
            x, y = addresses
            chunk = EventChunk(t_us, t_end_us, x=x, y=y, on=rng.random(size) < 0.5)
        chunk = replace(chunk, lost=3 if oddity == "lost" else 0)
        for header, payload in encode(chunk, at):
            sent = bytearray(payload)
            if oddity == "polarity" and size and isinstance(spec, GridSpec):
                sent[-1] = 7
            yield [header, sent]
            if rng.random() < 0.05:
                yield [header, sent]
        at = at.after(chunk)
    yield list(encode_message("end", no_events(at.geometry, now_us), at))


def state_of(side: Side) -> list[tuple[str, Any]]:
    stream = side.server.streams["s"]
    saved = stream.pipeline.save()
    return [
        (name, value.tolist() if isinstance(value, np.ndarray) else value)
        for name, value in saved.items()
    ]


@settings(max_examples=60, deadline=None)
@given(
    spec=geometries,
    seed=seeds,
    lateness_us=st.sampled_from([0, 2_500]),
    guard=st.sampled_from([None, GuardRules(), GuardRules(backward="reset", forward="step")]),
    readout=st.sampled_from(sorted(READOUTS)),
    every=st.sampled_from(["bin", "change", "end", 3_000]),
)
def test_a_message_at_once_decides_as_one_that_waits(
    spec: Spec, seed: int, lateness_us: int, guard: Any, readout: str, every: Any
) -> None:
    """To the last bit: decisions, replies, counters, what is kept of the stream and is logged."""
    served = replace(deployment(spec, lateness_us), guard=guard, readout=readout, every=every)
    at_once, in_turn, the_long_way = sides = [
        Side(served, bytes),
        Side(served, memoryview),
        Side(served, memoryview),
    ]
    for header, payload in drawn_messages(spec, seed, 30):
        for side in sides:
            side.receive(header, payload)
            if side is the_long_way:
                side.take_none_for_plain()
            side.step()
        assert at_once.seen() == in_turn.seen() == the_long_way.seen()
        if "s" in at_once.server.streams:
            assert state_of(at_once) == state_of(in_turn) == state_of(the_long_way)


@pytest.mark.parametrize("spec", [GRID, CHANNELS])
def test_after_its_first_message_a_plain_stream_needs_no_turn(spec: Spec) -> None:
    side = Side(deployment(spec, 0), bytes)
    geometry = geometry_of(side.server.deployment.layout.spec)
    for k, (header, payload) in enumerate(plain_messages(Cursor("s", geometry, 1), 20)):
        side.receive(header, payload)
        assert len(side.decisions) == (k if k > 1 else 0)
        if k < 2:
            side.step()
        assert len(side.decisions) == k
        assert side.server.rest_us() is None
    report = side.server.streams["s"].pipeline.counters
    assert report == Counters(received=20, binned=20, steps=20)


def plain_messages(at: Cursor, number: int) -> Iterator[list[Buffer]]:
    """The opening and messages of one event a millisecond."""
    yield list(encode_message("open", no_events(at.geometry, 0), at))
    for k in range(number):
        t_us, one = np.array([500 + 1_000 * k]), np.ones(1, np.uint16)
        addresses: dict[str, Any] = {"x": one, "y": one, "on": one > 0}
        if not hasattr(at.geometry, "width"):
            addresses = {"channel": one}
        piece = EventChunk(t_us, 1_000 * (k + 1), **addresses)
        yield list(encode_message("events", piece, at))
        at = at.after(piece)


def started(served: Deployment, **settings: Any) -> tuple[Side, Iterator[list[Buffer]]]:
    """A server whose stream has stepped two messages, and the further ones."""
    side = Side(served, bytes, **settings)
    messages = plain_messages(Cursor("s", geometry_of(served.layout.spec), 1), 20)
    for _ in range(3):
        side.receive(*next(messages))
        side.step()
    assert len(side.decisions) == 2
    return side, messages


def test_what_waits_is_taken_before_a_message_that_comes_in() -> None:
    side, messages = started(deployment(GRID, 0))
    header, payload = next(messages)
    side.server.receive(ME, [header, memoryview(payload)])
    assert len(side.decisions) == 2
    side.receive(*next(messages))
    assert [d.t_us for d in side.decisions] == [1_000, 2_000, 3_000, 4_000]
    assert side.server.rest_us() is None


def test_a_stream_that_has_fallen_behind_comes_back_without_turns() -> None:
    """Each message that comes in takes two with it, and no more: the others wait for it."""
    side, messages = started(deployment(GRID, 0))
    for _ in range(5):
        header, payload = next(messages)
        side.server.receive(ME, [header, memoryview(payload)])
    waiting, decided = [], []
    for _ in range(5):
        side.receive(*next(messages))
        waiting.append(len(side.server.streams["s"].waiting))
        decided.append(len(side.decisions))
    assert waiting == [4, 3, 2, 0, 0]
    assert decided == [4, 6, 8, 11, 12]
    assert [d.t_us for d in side.decisions] == [1_000 * k for k in range(1, 13)]


def test_a_long_message_that_waits_is_not_taken_ahead_of_its_turn() -> None:
    side, messages = started(deployment(GRID, 0))
    header, payload = next(messages)
    silence = msgspec.msgpack.encode(msgspec.msgpack.decode(header) | {"t_end_us": 900_000})
    side.receive(silence, payload)
    side.receive(*next(messages))
    assert (len(side.decisions), len(side.server.streams["s"].waiting)) == (2, 1)
    side.server.turn()
    assert len(side.decisions) == 2 + 64


def test_what_waits_is_taken_in_one_call_as_well() -> None:
    """So a daemon that has fallen behind is not slower than one that has not."""
    side, messages = started(deployment(GRID, 0))
    for _ in range(5):
        header, payload = next(messages)
        side.server.receive(ME, [header, memoryview(payload)])
    pipeline: Any = side.server.streams["s"].pipeline
    pipeline.take = None
    side.step()
    assert len(side.decisions) == 7


def test_messages_that_are_recorded_wait_for_their_turn() -> None:
    class Recording(Nobody):
        keeps_frames = True

    side, messages = started(deployment(GRID, 0), recorder=Recording())
    side.receive(*next(messages))
    assert len(side.decisions) == 2
    side.step()
    assert len(side.decisions) == 3


@pytest.mark.parametrize("policy", ["coarsen", "shed_oldest", "reset"])
def test_a_stream_that_falls_behind_lets_its_policy_choose(policy: Any) -> None:
    now = [0.0]
    served = replace(
        deployment(GRID, 0), overload=Overload(policy, behind_us=20_000), clock_us=lambda: now[0]
    )
    side, messages = started(served)
    now[0] = 9_000.0
    side.receive(*next(messages))
    assert len(side.decisions) == 3
    now[0] = 60_000.0
    side.receive(*next(messages))
    assert (len(side.decisions), len(side.server.streams["s"].waiting)) == (3, 1)


def test_a_step_that_is_to_change_is_changed_before_the_next_message() -> None:
    side, messages = started(deployment(GRID, 0))
    side.server.streams["s"].pipeline.change_step(STEPS_US[1])
    for _ in range(4):
        side.receive(*next(messages))
        side.step()
    assert [(d.t_us, d.dt_us) for d in side.decisions] == [
        (1_000, 1_000),
        (2_000, 1_000),
        (4_000, 2_000),
        (6_000, 2_000),
    ]


def test_a_network_that_leaves_the_numbers_ends_its_stream_alone() -> None:
    side, messages = started(deployment(GRID, 0))
    state: Any = side.server.streams["s"].pipeline.state
    side.server.streams["s"].pipeline.counters.steps = 255
    state.memory.values[:] = np.nan
    side.receive(*next(messages))
    assert side.server.streams == {}
    assert "finite" in side.log.getvalue()
    side.receive(*next(messages))
    assert side.server.report.refused == 1


def test_a_checkpoint_between_two_messages_knows_which_of_them_were_stepped() -> None:
    served = deployment(GRID, 0)
    side = Side(served, bytes)
    side.server.keeps_checkpoints = True
    messages = plain_messages(Cursor("s", geometry_of(served.layout.spec), 1), 20)
    for _ in range(4):
        side.receive(*next(messages))
        side.step()
    stream = side.server.streams["s"]
    assert (stream.stepped, (stream.place or stream.inbox).expected) == (2, 3)
    header, payload = next(messages)
    side.server.receive(ME, [header, memoryview(payload)])
    assert (stream.stepped, (stream.place or stream.inbox).expected) == (2, 3)
    assert stream.inbox.expected == 4
    side.step()
    assert (stream.stepped, (stream.place or stream.inbox).expected) == (3, 4)
