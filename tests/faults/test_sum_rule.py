"""Whatever happens in whatever order: received = binned + late + invalid + masked + shed.

Faults are drawn and interleaved against a server with a real network; after every one of them the
rule holds, of every stream and of the whole, and no decision has come twice.
"""

import math
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from retempo.runtime.checkpoint_folder import CheckpointFolder
from retempo.runtime.checkpointing import Checkpointing
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import GRACE_US, KEEPALIVE_S, Credit, Reply
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.guard import GuardRules
from retempo.runtime.overload import Overload, Policy
from retempo.runtime.replies import Delivery
from retempo.runtime.snapshot import unaccounted
from retempo.sensors.events import EventChunk
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from retempo.sensors.wire_header import Kind
from tests.builders import make_chunk
from tests.runtime.test_checkpointing import GRID, HeldWriter, deployed, model

WIDTH, HEIGHT = GRID.width, GRID.height
BEHIND_US = 20_000
HOUR_US = 3_600_000_000
START_US = 2 * HOUR_US
GUARD = GuardRules(back_us=50_000, ahead_us=200_000, confirm=4)

names = st.sampled_from(["a", "b"])
seeds = st.integers(0, 2**20)
sizes = st.integers(0, 40)


@cache
def served(seed: int) -> Deployment:
    """One of two networks, with all that may befall an event."""
    step = model(seed)
    ladder = {dt_us: step.resolution(dt_us, "lag") for dt_us in (1_000, 2_000)}
    return deployed(step, lateness_us=2_000, guard=GUARD, ladder=ladder)


@dataclass
class Sensor:
    """A sender, its clock, and the messages that it keeps."""

    at: Cursor
    owner: bytes
    t_us: int = START_US
    kept: list[tuple[list[bytes], int]] = field(default_factory=list)


class Faults(RuleBasedStateMachine):
    """A server to which everything happens that the table of faults names."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now_us = 1e9
        self.sensors: dict[str, Sensor] = {}
        self.gone: set[bytes] = set()
        self.owners = self.epochs = self.lives = 0
        self.handed = 0
        self.received = 0

    @initialize(
        policy=st.sampled_from(["block", "coarsen", "shed_oldest", "reset"]),
        batch=st.sampled_from([1, 4]),
        turn_us=st.sampled_from([100.0, 6_000.0]),
    )
    def begins(self, policy: Policy, batch: int, turn_us: float) -> None:
        self.overload, self.batch = Overload(policy, BEHIND_US), batch
        self.turn_us = turn_us
        self.seed = 0
        self._live(self._deployment())
        for name in ("a", "b"):
            self._open(name, anew=True)

    @rule(name=names, anew=st.booleans())
    def opens(self, name: str, *, anew: bool) -> None:
        """Over another connection, or as a sender that was started anew."""
        if name in self.sensors:
            self.gone.add(self.sensors[name].owner)
        self._open(name, anew=anew)

    @rule(name=names, seed=seeds, size=sizes, span_us=st.integers(1, 30_000), then=st.booleans())
    def sends(self, name: str, seed: int, size: int, span_us: int, *, then: bool) -> None:
        """As it should, and mostly what waits is stepped then."""
        self._send(name, size, span_us, seed)
        if then:
            self._step()

    @rule(name=names, seed=seeds, size=sizes)
    def sends_addresses_outside(self, name: str, seed: int, size: int) -> None:
        self._send(name, size, 5_000, seed, wider=3)

    @rule(name=names, seed=seeds, size=sizes)
    def sends_late_events(self, name: str, seed: int, size: int) -> None:
        self._send(name, size, 5_000, seed, back_us=20_000)

    @rule(
        name=names, seed=seeds, by_us=st.sampled_from([-HOUR_US, HOUR_US, 5 * HOUR_US, -2_000_000])
    )
    def sends_one_corrupt_time(self, name: str, seed: int, by_us: int) -> None:
        self._send(name, 1, 1, seed, back_us=-by_us)

    @rule(name=names, seed=seeds, by_us=st.sampled_from([-HOUR_US, -400_000, 400_000, HOUR_US]))
    def sets_its_clock(self, name: str, seed: int, by_us: int) -> None:
        if name in self.sensors:
            self.sensors[name].t_us += by_us
            self._send(name, 12, 5_000, seed)

    @rule(name=names, seed=seeds)
    def falls_behind(self, name: str, seed: int) -> None:
        """A burst while nothing is stepped and the host's clock runs on."""
        self._send(name, 20, 5_000, seed)
        self._step()
        for k in range(1, 9):
            self._send(name, 20, 5_000, seed + k)
        self.now_us += 10 * BEHIND_US
        self._step()

    @rule(name=names, back=st.integers(1, 5))
    def repeats(self, name: str, back: int) -> None:
        sensor = self.sensors.get(name)
        if sensor is not None and len(sensor.kept) >= back:
            self._hand_in(sensor, *sensor.kept[-back])

    @rule(name=names, seed=seeds)
    def sends_in_another_order(self, name: str, seed: int) -> None:
        sensor = self.sensors.get(name)
        if sensor is not None:
            messages = [self._message(sensor, 20, 4_000, seed + k) for k in range(3)]
            for message in reversed(messages):
                self._hand_in(sensor, *message)

    @rule(name=names, seed=seeds, size=sizes)
    def loses_a_message(self, name: str, seed: int, size: int) -> None:
        sensor = self.sensors.get(name)
        if sensor is not None:
            self._message(sensor, size, 5_000, seed)

    @rule(name=names, seed=seeds, at=st.floats(0, 1))
    def sends_a_damaged_message(self, name: str, seed: int, at: float) -> None:
        sensor = self.sensors.get(name)
        if sensor is None:
            return
        (header, payload), count = self._message(sensor, 20, 5_000, seed)
        place = int(at * (len(header) - 1))
        broken = header[:place] + bytes([header[place] ^ 0x55]) + header[place + 1 :]
        self._hand_in(sensor, [broken, payload], count)
        self._hand_in(sensor, [header, payload[:-1]], count)

    @rule()
    def steps(self) -> None:
        self._step()

    @rule(seconds=st.floats(0, 2 * GRACE_US / 1e6))
    def waits(self, seconds: float) -> None:
        self.now_us += seconds * 1e6
        self.server.sweep()

    @rule(name=names, after_s=st.sampled_from([2 * KEEPALIVE_S, 2 * GRACE_US / 1e6]))
    def leaves_and_comes_back(self, name: str, after_s: float) -> None:
        """Within the grace, or when its stream has been finished."""
        if name in self.sensors:
            self.gone.add(self.sensors[name].owner)
            for wait_s in (1.1 * KEEPALIVE_S, after_s):
                self.now_us += 1e6 * wait_s
                self.server.sweep()
            self._open(name)

    @rule(another=st.booleans())
    def swaps_the_model(self, *, another: bool) -> None:
        self.seed ^= another
        self.server.swap(self._deployment(), carry=not another)

    @rule(fails=st.booleans())
    def takes_a_checkpoint(self, *, fails: bool) -> None:
        self.writer.is_due = True
        while self.writer.is_due:
            self.chore.tick()
            self._turn()
        if self.writer.submitted[-1] is not None:
            self.writer.write("No space left on device" if fails else None)
        self.chore.tick()

    @precondition(lambda self: self.lives < 3)
    @rule(come_back=st.booleans())
    def is_killed(self, *, come_back: bool) -> None:
        self.writer.folder.close()
        self._live(self._deployment())
        for name in self.sensors if come_back else ():
            self._open(name)

    @rule(name=names)
    def ends(self, name: str) -> None:
        sensor = self.sensors.pop(name, None)
        if sensor is not None:
            self._control("end", sensor, sensor.at)

    @invariant()
    def every_event_went_one_way(self) -> None:
        snapshot = self.server.snapshot()
        for each in (*(s.counters for s in snapshot.streams), snapshot.counters):
            each.check()
            assert unaccounted(each) == 0
            assert min(each.as_dict().values()) >= 0
        assert snapshot.report.unaccounted == 0
        assert snapshot.report.failed == 0
        assert snapshot.counters.received >= self.received
        self.received = snapshot.counters.received

    @invariant()
    def no_decision_came_twice(self) -> None:
        ids = [(each.stream, each.epoch, each.sequence) for each in self.decisions]
        assert len(set(ids)) == len(ids)
        assert all(math.isfinite(score) for each in self.decisions for score in each.scores)

    def teardown(self) -> None:
        """The daemon ends; what was taken is accounted for to the last event."""
        try:
            if hasattr(self, "server"):
                self._step()
                self.server.keeps_checkpoints = False
                self.server.close()
                self.every_event_went_one_way()
                self.no_decision_came_twice()
                assert not self.server.streams
                if self.lives == 1:
                    assert self.server.report.counters.received == self.handed
        finally:
            if hasattr(self, "writer"):
                self.writer.folder.close()
            shutil.rmtree(self.folder)

    def _open(self, name: str, *, anew: bool = False) -> None:
        """Open a stream from its first message on, and send what the daemon asks for."""
        if anew or name not in self.sensors:
            self.epochs += 1
            self.sensors[name] = Sensor(Cursor(name, GRID, self.epochs), b"")
        sensor = self.sensors[name]
        self.owners += 1
        sensor.owner = b"%d" % self.owners
        self._control("open", sensor, Cursor(name, GRID, sensor.at.epoch))
        credit = self.replies[-1]
        if isinstance(credit, Credit) and credit.epoch == sensor.at.epoch:
            for message in sensor.kept[credit.acknowledged + 1 :]:
                self._hand_in(sensor, *message)

    def _live(self, deployment: Deployment) -> None:
        """Begin a life of the server on the folder of its checkpoints."""
        self.lives += 1
        self.received = 0
        self.replies: list[Reply] = []
        self.decisions: list[Decision] = []
        log = EventLog(out=StringIO(), interval_s=0.0)
        self.server = FeedServer(deployment, self._tell, self.decisions.append, log)
        self.server.keeps_checkpoints = True
        self.writer = HeldWriter(CheckpointFolder(self.folder))
        self.chore = Checkpointing(self.server, self.writer.folder, self.writer, log)
        self.chore.restore()

    def _deployment(self) -> Deployment:
        return replace(
            served(self.seed),
            clock_us=lambda: self.now_us,
            overload=self.overload,
            batch=self.batch,
        )

    def _tell(self, owner: bytes, reply: Reply) -> Delivery:
        if owner in self.gone:
            return "gone"
        self.replies.append(reply)
        return "sent"

    def _turn(self) -> None:
        if self.server.rest_us() is not None:
            self.now_us += self.turn_us
            self.server.turn()

    def _step(self) -> None:
        while self.server.rest_us() is not None:
            self._turn()
        self.server.acknowledge()
        self.server.tell_ended()

    def _control(self, kind: Kind, sensor: Sensor, at: Cursor) -> None:
        frames = encode_message(kind, no_events(GRID, sensor.t_us), at)
        self.server.receive(sensor.owner, [bytes(frame) for frame in frames])

    def _message(
        self, sensor: Sensor, size: int, span_us: int, seed: int, back_us: int = 0, wider: int = 0
    ) -> tuple[list[bytes], int]:
        """Return the sensor's next message and its number of events."""
        begin_us = sensor.t_us - back_us
        chunk: EventChunk = make_chunk(size, WIDTH + wider, HEIGHT, span_us, seed, begin_us)
        if back_us == 0:
            sensor.t_us += span_us
            chunk = replace(chunk, t_us=np.sort(chunk.t_us))
        chunk = replace(chunk, t_end_us=sensor.t_us)
        message = [bytes(frame) for frame in encode_message("events", chunk, sensor.at)], size
        sensor.kept.append(message)
        sensor.at = sensor.at.after(chunk)
        return message

    def _send(
        self, name: str, size: int, span_us: int, seed: int, back_us: int = 0, wider: int = 0
    ) -> None:
        sensor = self.sensors.get(name)
        if sensor is not None:
            self._hand_in(sensor, *self._message(sensor, size, span_us, seed, back_us, wider))

    def _hand_in(self, sensor: Sensor, frames: list[bytes], count: int) -> None:
        """Hand in a message, and count its events if it was taken."""
        before = self._not_taken()
        self.server.receive(sensor.owner, frames)
        if self._not_taken() == before:
            self.handed += count

    def _not_taken(self) -> int:
        report = self.server.snapshot().report
        return report.malformed + report.refused + report.duplicates


TestEveryEventIsAccountedFor = Faults.TestCase
TestEveryEventIsAccountedFor.settings = settings(
    max_examples=120, stateful_step_count=50, deadline=None
)
