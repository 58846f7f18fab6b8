"""Streams whose clock wraps, jumps or lies, through the whole pipeline and the daemon's server."""

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.exporters.description import GridSpec
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment, deploy
from retempo.runtime.engines import load_engine
from retempo.runtime.errors import ConfigError
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.guard import GuardRules
from retempo.runtime.guard_config import guard_rules
from retempo.runtime.overload import Overload
from retempo.runtime.pipeline import Pipeline
from retempo.runtime.serve_config import GuardConfig
from retempo.sensors.events import EventChunk
from retempo.sensors.filters import parse_filter
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message
from tests.builders import make_chunk, make_network, seeds

GEOMETRY = GridGeometry(6, 5)
DT_US = 1_000
LATENESS_US = 2_000
HOUR_US = 3_600_000_000
RULES = GuardRules(back_us=20_000, ahead_us=100_000, forward="step", confirm=4)


def served(guard: GuardRules | None = RULES, lateness_us: int = LATENESS_US) -> Deployment:
    network = make_network(geometry=GridSpec(6, 5, 2))
    built = build_step(network, resolve(network.spec, DT_US, "lag"))
    model = parse_step(built.SerializeToString(), "m.onnx")
    ladder = {dt_us: model.resolution(dt_us, "lag") for dt_us in (DT_US, 2 * DT_US)}
    deployment = deploy(load_engine(model, ladder[DT_US], "sparse"))
    return replace(deployment, guard=guard, lateness_us=lateness_us, ladder=ladder)


PLAIN, GUARDED = served(None), served()


def at(chunk: EventChunk, t_us: Sequence[int], t_end_us: int | None = None) -> EventChunk:
    """The same events at other times."""
    times = np.array(t_us, np.int64)
    return replace(chunk, t_us=times, t_end_us=int(times.max()) if t_end_us is None else t_end_us)


def pieces(chunk: EventChunk, places: Sequence[int]) -> list[EventChunk]:
    """Parts of a chunk whose watermark is the latest time so far."""
    edges = [0, *sorted(min(place, len(chunk)) for place in places), len(chunk)]
    parts = []
    for a, b in pairwise(edges):
        columns = {name: getattr(chunk, name)[a:b] for name in ("t_us", "x", "y", "on")}
        t_end_us = int(chunk.t_us[: max(b, 1)].max())
        parts.append(replace(chunk, t_end_us=t_end_us, **columns))
    return parts


def run(pipeline: Pipeline, chunks: Sequence[EventChunk]) -> list[Decision]:
    decisions: list[Decision] = []
    for chunk in chunks:
        decisions += [d for d in pipeline.feed(chunk, 0.0) if d is not None]
        pipeline.counters.check()
    return [*decisions, *(d for d in pipeline.finish(0.0) if d is not None)]


def essence(decisions: Sequence[Decision]) -> list[tuple[int, list[float]]]:
    return [(d.t_us, d.scores) for d in decisions]


@settings(max_examples=60)
@given(
    seed=seeds,
    breaks=st.lists(
        st.tuples(st.integers(5, 60), st.sampled_from([-HOUR_US, -400_000, 150_000, 400_000])),
        max_size=4,
    ),
    places=st.lists(st.integers(0, 300), max_size=6),
    odd=st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from([-HOUR_US, -5_000_000, HOUR_US, 2 * HOUR_US])),
        max_size=3,
    ),
)
def test_a_stream_that_jumps_and_lies_is_decided_as_the_sorted_one(
    seed: int,
    breaks: list[tuple[int, int]],
    places: list[int],
    odd: list[tuple[float, int]],
) -> None:
    """Clocks that are set, disorder within the lateness, duplicates, corrupt times between."""
    rng = np.random.default_rng(seed)
    told: list[int] = []
    true: list[int] = []
    start_us, mark = 10 * HOUR_US, None
    for size, by_us in [*breaks, (40, 0)]:
        steps_us = rng.integers(0, 3_000, size)
        steps_us[rng.random(size) < 0.2] = 0
        ordered = start_us + np.cumsum(steps_us)
        part = ordered[np.argsort(ordered + rng.integers(0, LATENESS_US, size), kind="stable")]
        offset = 0 if not true else true[-1] - told[-1]
        first = int(part[0]) + offset
        if mark is not None and first < mark - RULES.back_us:
            offset = (mark // (2 * DT_US) + 1) * 2 * DT_US - int(part[0])
        told += part.tolist()
        true += (part + offset).tolist()
        mark = max(true)
        start_us = int(part.max()) + by_us
    events = make_chunk(len(told), 7, 5, 1, seed)
    expected = run(sorted_stream := PLAIN.open("s", GEOMETRY), [in_order(at(events, true))])
    with_odd = at(events, told)
    kept = len(told)
    for share, by_us in odd:
        # Between two events of one epoch, which refute what lies between them.
        place = 1 + int(share * 3)
        with_odd = inserted(with_odd, place, told[place - 1] + by_us)
    guarded = GUARDED.open("s", GEOMETRY)
    decisions = run(guarded, pieces(with_odd, places))
    assert essence(decisions) == essence(expected)
    counters, plain = guarded.counters, sorted_stream.counters
    assert counters.received == kept + len(odd)
    assert counters.binned == plain.binned
    assert counters.late == sum(by_us < 0 for _, by_us in odd)
    assert counters.invalid == plain.invalid + sum(by_us > 0 for _, by_us in odd)


def in_order(chunk: EventChunk) -> EventChunk:
    order = np.argsort(chunk.t_us, kind="stable")
    columns = {name: getattr(chunk, name)[order] for name in ("t_us", "x", "y", "on")}
    return replace(chunk, **columns)


def inserted(chunk: EventChunk, place: int, t_us: int) -> EventChunk:
    assert chunk.x is not None
    assert chunk.y is not None
    assert chunk.on is not None
    return EventChunk(
        np.insert(chunk.t_us, place, t_us),
        0,
        np.insert(chunk.x, place, 0),
        np.insert(chunk.y, place, 0),
        np.insert(chunk.on, place, True),
    )


@pytest.mark.parametrize("bits", [24, 31, 32])
def test_bins_go_on_bit_for_bit_through_a_wrap(bits: int) -> None:
    period_us = 1 << bits
    chunk = make_chunk(900, 6, 5, 300_000, 3, start_us=period_us - 100_000)
    rules = GuardRules(wrap=f"{bits}bit", ahead_us=5_000_000)  # type: ignore[arg-type]
    wrapped = at(chunk, (chunk.t_us % period_us).tolist())
    expected = run(PLAIN.open("s", GEOMETRY), pieces(chunk, range(0, 900, 50)))
    told = run(served(rules).open("s", GEOMETRY), pieces(wrapped, range(0, 900, 50)))
    assert essence(told) == essence(expected)


def test_an_hour_forward_is_a_flagged_gap_and_no_burst_of_steps() -> None:
    first, second = make_chunk(200, 6, 5, 50_000, 1), make_chunk(200, 6, 5, 50_000, 2)
    later = at(second, (second.t_us + HOUR_US).tolist())
    pipeline = served(GuardRules(), 0).open("s", GEOMETRY)
    decisions = run(pipeline, [first, later])
    counters = pipeline.counters
    assert (counters.jumps, counters.gaps, counters.late, counters.invalid) == (1, 1, 0, 0)
    assert counters.binned == 400
    assert counters.steps == len(decisions) - 1 <= 102
    # The state is kept: what follows goes on as if the pause had not been.
    joined = at(second, (second.t_us + 50_000).tolist())
    expected = run(served(None, 0).open("s", GEOMETRY), [first, joined])
    assert [d.scores for d in decisions[-50:]] == [d.scores for d in expected[-50:]]


@pytest.mark.parametrize("by_us", [HOUR_US, -5_000_000])
def test_a_reset_begins_anew_where_the_clock_was_set(by_us: int) -> None:
    start_us = 2 * HOUR_US
    first = make_chunk(200, 6, 5, 50_000, 1, start_us=start_us)
    second = make_chunk(200, 6, 5, 50_000, 2, start_us=start_us + by_us)
    rules = GuardRules(backward="reset", forward="reset")
    pipeline = served(rules, lateness_us=0).open("s", GEOMETRY)
    decisions = run(pipeline, [first, second])
    edge_us = int(first.t_us[-1]) // 2_000 * 2_000 + 2_000
    shift_us = edge_us - int(second.t_us[0]) if by_us < 0 else 0
    moved = at(second, (second.t_us + shift_us).tolist())
    expected = run(served(None, lateness_us=0).open("s", GEOMETRY), [moved])
    assert essence(decisions)[-len(expected) :] == essence(expected)
    assert pipeline.counters.jumps == 1


def test_late_is_late_until_time_has_caught_up() -> None:
    chunk = make_chunk(300, 6, 5, 90_000, 1, start_us=HOUR_US)
    back = at(chunk, (chunk.t_us - 50_000).tolist())
    counts = []
    for guard in (None, replace(RULES, backward="late")):
        pipeline = served(guard).open("s", GEOMETRY)
        decisions = run(pipeline, [chunk, back])
        counts.append((pipeline.counters.as_dict(), essence(decisions)))
    assert counts[0] == counts[1]
    assert counts[0][0]["late"] > 100


class Clock:
    now_us = 0.0

    def __call__(self) -> float:
        return self.now_us


def test_a_clock_that_was_set_is_no_delay_and_is_logged() -> None:
    """Else a stream would coarsen or shed for ever after its sensor started anew."""
    clock, log = Clock(), StringIO()
    deployment = replace(
        served(GuardRules(), 0), clock_us=clock, overload=Overload("coarsen", behind_us=20_000)
    )
    told: list[Decision] = []
    server = FeedServer(deployment, lambda _o, _r: "sent", told.append, EventLog(log))
    cursor = Cursor("s", GEOMETRY, 1)
    start_us = 2 * HOUR_US
    server.receive(b"a", encode_message("open", no_events(GEOMETRY, start_us), cursor))
    corrupt = 7
    for k in range(60):
        offset_us = start_us if k < 20 else (0 if k < 40 else 5 * HOUR_US)
        chunk = make_chunk(40, 6, 5, 10_000, k, start_us=offset_us + 10_000 * k)
        if k == corrupt:
            chunk = replace(chunk, t_end_us=chunk.t_end_us + HOUR_US)
        clock.now_us = 1e9 + 10_000.0 * (k + 1) + (3e6 if k >= 20 else 0.0)
        server.receive(b"a", encode_message("events", chunk, cursor))
        cursor = cursor.after(chunk)
        while server.rest_us() is not None:
            server.turn()
    server.close()
    lines = [msgspec.json.decode(line) for line in log.getvalue().splitlines()]
    jumps = [line for line in lines if line["event"] == "jump"]
    assert [line["action"] for line in jumps] == ["carry_on"]
    assert jumps[0]["by_us"] == pytest.approx(-start_us, abs=30_000)
    counters = told[-1].counters
    assert (counters["jumps"], counters["gaps"], counters["switches"]) == (2, 1, 0)
    assert (counters["binned"], counters["late"], counters["invalid"]) == (2_400, 0, 0)
    assert all(b.t_us > a.t_us for a, b in pairwise(told[:-1]))


def test_a_hot_pixel_is_masked_and_the_others_are_untouched() -> None:
    """One pixel at a million events a second beside a scene of 20,000, fault 10."""
    scene = make_chunk(60_000, 6, 5, 3_000_000, 1)
    hot_us = np.arange(0, 3_000_000)
    assert scene.x is not None
    assert scene.y is not None
    assert scene.on is not None
    mixed = in_order(
        EventChunk(
            np.concatenate([scene.t_us, hot_us]),
            3_000_000,
            np.concatenate([scene.x, np.full(3_000_000, 3, np.uint16)]),
            np.concatenate([scene.y, np.full(3_000_000, 2, np.uint16)]),
            np.concatenate([scene.on, np.ones(3_000_000, np.bool_)]),
        )
    )
    hot = (scene.x == 3) & (scene.y == 2)
    second = scene.t_us >= 1_000_000
    pipeline = replace(served(GuardRules(), 0), filters=(parse_filter("hot-pixels"),)).open(
        "s", GEOMETRY
    )
    for chunk in pieces(mixed, range(0, len(mixed), 9_000)):
        for _ in pipeline.feed(chunk, 0.0):
            pass
    for _ in pipeline.finish(0.0):
        pass
    counters = pipeline.counters
    assert (
        counters.masked == pipeline.removed["hot-pixels"] == 2_000_000 + int((hot & second).sum())
    )
    assert counters.binned == counters.received - counters.masked


def test_durations_that_cannot_go_together_are_refused() -> None:
    assert guard_rules(GuardConfig(), 0) == GuardRules()
    with pytest.raises(ConfigError, match=r"\[guard\] back is 1000000 us, less than .* 2000000 us"):
        guard_rules(GuardConfig(), 2_000_000)
    with pytest.raises(ConfigError, match="a 24bit counter turns in 16777216 us"):
        guard_rules(GuardConfig(back="9s", wrap="24bit"), 0)
    with pytest.raises(ConfigError, match=r"\[guard\] ahead: "):
        guard_rules(GuardConfig(ahead="soon"), 0)
