"""Many cameras into the daemon's own server, in one process: real messages, real time, no sockets.

Each camera plays recordings one after the other at the sensor's pace, a message a slice of event
time, within the window that the server gives it. What a decision waits for is then the server's
work alone, on the one core that this process is pinned to.
"""

import gc
import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from retempo.demo.assets import DemoRecording
from retempo.runtime.clock import host_clock_us
from retempo.runtime.daemon import COPIED_BYTES
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import Credit, Ended, Reply
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.replies import Delivery
from retempo.runtime.slices import slices
from retempo.sensors.events import EventChunk
from retempo.sensors.geometry import Geometry
from retempo.sensors.pieces import no_events, split
from retempo.sensors.wire import Cursor, Frames, encode_message
from retempo.sensors.wire_header import Kind

_OWNER = b"cameras"


@dataclass(frozen=True, slots=True)
class Film:
    """Recording `number` as messages: when each is due after its begin, its kind and its events."""

    number: int
    label: str
    zero_us: int
    due_us: tuple[int, ...]
    kinds: tuple[Kind, ...]
    pieces: tuple[EventChunk, ...]


@dataclass(slots=True)
class _Showing:
    """A film that a camera plays: its messages, when it began and how far it is."""

    film: Film
    name: str
    opening: Frames
    frames: list[Frames]
    began_us: float = 0.0
    next: int = 0
    acknowledged: int = -1
    ended: bool = False
    camera: int = 0


@lru_cache(maxsize=256)
def _messages(film: Film, name: str, epoch: int, geometry: Geometry) -> tuple[Frames, list[Frames]]:
    """Encode a film's messages beforehand: a sender's work is not what is measured."""
    at, frames = Cursor(name, geometry, epoch), []
    opening = encode_message("open", no_events(geometry, 0), at)
    for kind, piece in zip(film.kinds, film.pieces, strict=True):
        frames.append(as_received(encode_message(kind, piece, at)))
        if kind == "events":
            at = at.after(piece)
    return opening, frames


def _showing(film: Film, name: str, epoch: int, geometry: Geometry) -> _Showing:
    return _Showing(film, name, *_messages(film, name, epoch, geometry))


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of one film: its label, the decided one and what the server counted."""

    stream: str
    film: int
    label: str
    decided: str | None
    began_us: float
    counters: dict[str, int]


@dataclass(slots=True)
class Report:
    """What was heard of all cameras.

    `waits` are microseconds from the instant at which a bin's last event was due to its decision,
    each with that instant and the bin's length.
    """

    shown: list[Shown] = field(default_factory=list)
    due_us: list[float] = field(default_factory=list)
    waits_us: list[float] = field(default_factory=list)
    dts_us: list[int] = field(default_factory=list)
    log: list[dict[str, object]] = field(default_factory=list)
    behind_us: float = 0.0

    def waits(self, begin_us: float = -np.inf, end_us: float = np.inf) -> NDArray[np.float64]:
        """Return the waits of what was due within a span."""
        due = np.array(self.due_us)
        return np.array(self.waits_us)[(due >= begin_us) & (due < end_us)]


def film_of(number: int, recording: DemoRecording, slice_us: int, geometry: Geometry) -> Film:
    """Cut a recording into the messages of a live camera."""
    due, pieces, zero_us = [], [], None
    for each in slices([recording.events], slice_us):
        zero_us = each.due_us - slice_us if zero_us is None else zero_us
        for piece in split(each.chunk):
            due.append(each.due_us - zero_us)
            pieces.append(piece)
    assert zero_us is not None
    end = no_events(geometry, recording.events.t_end_us)
    kinds: tuple[Kind, ...] = (*(["events"] * len(pieces)), "end")  # type: ignore[list-item]
    last_us = due[-1]
    return Film(number, recording.label, zero_us, (*due, last_us), kinds, (*pieces, end))


def as_received(frames: Frames) -> Frames:
    """Return a message as the daemon's socket hands it on: what is short as bytes."""
    return [bytes(frame) if len(frame) <= COPIED_BYTES else frame for frame in frames]


def pinned() -> Callable[[], None]:
    """Keep this process on one core; returns what undoes it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    return lambda: os.sched_setaffinity(0, before)


def play(
    deployment: Deployment,
    schedules: Sequence[Iterator[tuple[float, Film]]],
    geometry: Geometry,
    *,
    window: int = 64,
    give_up_us: float = math.inf,
) -> Report:
    """Play films until every camera has none left, or the server is too far behind.

    Args:
        deployment: what decides.
        schedules: of each camera its films, each with the earliest instant to begin it, in
            microseconds after the start; a film begins when the one before has ended.
        geometry: the sensor of all of them.
        window: messages on the way, a stream.
        give_up_us: how far a message may come too late.
    """
    return _Stage(deployment, schedules, geometry, window).run(give_up_us)


class _Stage:
    def __init__(
        self,
        deployment: Deployment,
        schedules: Sequence[Iterator[tuple[float, Film]]],
        geometry: Geometry,
        window: int,
    ) -> None:
        self._window = window
        self._waiting = [
            deque(
                (begin_us, _showing(film, f"camera{camera}-{k}", 1_000 * camera + k, geometry))
                for k, (begin_us, film) in enumerate(schedule)
            )
            for camera, schedule in enumerate(schedules)
        ]
        self._playing: list[_Showing | None] = [None] * len(schedules)
        # When there is next something to do for each camera.
        self._next_us = [0.0] * len(schedules)
        self._by_name: dict[str, _Showing] = {}
        self._finals: dict[str, Decision] = {}
        self._report = Report()
        self._text = StringIO()
        log = EventLog(out=self._text, interval_s=0.0)
        self._server = FeedServer(deployment, self._reply, self._decide, log, window=window)
        self._zero_us = host_clock_us()

    def run(self, give_up_us: float = math.inf) -> Report:
        """Play to the end, or as long as it makes sense."""
        # What the cameras hold is not the server's: a daemon's collector would not walk over it.
        gc.collect()
        gc.freeze()
        self._zero_us = host_clock_us()
        while any(self._playing) or any(self._waiting):
            if self._report.behind_us > give_up_us:
                break
            # It never sleeps: to wake up takes longer than a decision, and is not the server's.
            self._feed()
            if self._server.rest_us() == 0.0:
                self._server.turn()
            self._server.acknowledge()
        gc.unfreeze()
        lines = self._text.getvalue().splitlines()
        self._report.log = [msgspec.json.decode(line) for line in lines]
        return self._report

    def _feed(self) -> None:
        """Hand in what is due and within the window.

        Many times a millisecond: cameras that have nothing to do are passed over by a look each.
        """
        now_us = host_clock_us() - self._zero_us
        for camera, next_us in enumerate(self._next_us):
            if next_us > now_us:
                continue
            showing = self._playing[camera]
            if showing is None or showing.ended:
                self._playing[camera] = None
                waiting = self._waiting[camera]
                if waiting and waiting[0][0] <= now_us:
                    # The first film begins when it was to, so that cameras keep their phases.
                    begin_us, next_one = waiting.popleft()
                    self._begin(camera, begin_us if showing is None else now_us, next_one)
                else:
                    self._next_us[camera] = waiting[0][0] if waiting else math.inf
                continue
            receive, frames = self._server.receive, showing.frames
            while (due_us := self._due_us(showing)) <= now_us:
                if now_us - due_us > self._report.behind_us:
                    self._report.behind_us = now_us - due_us
                number, showing.next = showing.next, showing.next + 1
                receive(_OWNER, frames[number])
            if not showing.ended:
                self._next_us[camera] = due_us

    def _due_us(self, showing: _Showing) -> float:
        """When the next message is due, never while the window is full or none is left."""
        due_us, number = showing.film.due_us, showing.next
        if number == len(due_us) or number - 1 - showing.acknowledged >= self._window:
            return math.inf
        return showing.began_us + due_us[number]

    def _begin(self, camera: int, begin_us: float, showing: _Showing) -> None:
        showing.began_us, showing.camera = begin_us, camera
        self._by_name[showing.name], self._playing[camera] = showing, showing
        self._server.receive(_OWNER, showing.opening)
        self._next_us[camera] = 0.0

    def _reply(self, _owner: bytes, reply: Reply) -> Delivery:
        if isinstance(reply, Credit):
            showing = self._by_name[reply.stream]
            showing.acknowledged = reply.acknowledged
            self._next_us[showing.camera] = min(
                self._next_us[showing.camera], self._due_us(showing)
            )
        elif isinstance(reply, Ended):
            showing, final = self._by_name[reply.stream], self._finals.pop(reply.stream, None)
            showing.ended = True
            self._next_us[showing.camera] = 0.0
            self._report.shown.append(
                Shown(
                    reply.stream,
                    showing.film.number,
                    showing.film.label,
                    None if final is None else final.label,
                    showing.began_us,
                    reply.counters,
                )
            )
        else:
            raise RuntimeError(f"the server does not serve: {reply}")
        return "sent"

    def _decide(self, decision: Decision) -> None:
        showing = self._by_name[decision.stream]
        if decision.final:
            self._finals[decision.stream] = decision
            return
        due_us, report = showing.began_us + decision.t_us - showing.film.zero_us, self._report
        report.due_us.append(due_us)
        report.waits_us.append(host_clock_us() - self._zero_us - due_us)
        report.dts_us.append(decision.dt_us)
