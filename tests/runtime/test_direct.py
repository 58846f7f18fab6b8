"""Live messages that are binned and stepped in one call: the same decisions as the long way."""

from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retempo.exporters.description import ChannelSpec, GridSpec
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step
from retempo.runtime.binner import Binner
from retempo.runtime.counters import Counters
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment, deploy
from retempo.runtime.engines import load_engine
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed import WINDOW, Credit, Reply
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.layout import geometry_of, layout_of
from retempo.runtime.mean_kernel import WORTH, add_bin, add_bin_numpy, new_memory
from retempo.runtime.pipeline import Pipeline
from retempo.runtime.replies import Delivery
from retempo.runtime.sparse_bins import with_zeros
from retempo.sensors.events import EventChunk
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, decode, encode, encode_message
from tests.builders import make_network, seeds

GRID, CHANNELS = GridSpec(6, 5, 2), ChannelSpec(30)
STEPS_US = (1_000, 2_000, 4_000)
geometries = st.sampled_from([GRID, CHANNELS])


def deployment(spec: GridSpec | ChannelSpec, lateness_us: int) -> Deployment:
    network = make_network(geometry=spec)
    built = build_step(network, resolve(network.spec, 1_000, "lag"))
    step = parse_step(built.SerializeToString(), "m.onnx")
    ladder = {dt_us: step.resolution(dt_us, "lag") for dt_us in STEPS_US}
    engine = load_engine(step, ladder[1_000], "sparse")
    return replace(deploy(engine), ladder=ladder, lateness_us=lateness_us, clock_us=lambda: 0.0)


def random_chunk(
    spec: GridSpec | ChannelSpec, rng: np.random.Generator, begin_us: int
) -> EventChunk:
    """Some events: out of order, some of them late, some beyond the sensor; now and then none."""
    size = int(rng.choice([0, 1, 7, 60]))
    span_us = int(rng.choice([1, 900, 30_000]))
    t_us = begin_us + rng.integers(-2_000, span_us, size)
    addresses = [rng.integers(0, 40 if rng.random() < 0.2 else 5, size).astype(np.uint16)]
    addresses.append(rng.integers(0, 6, size).astype(np.uint16))
    t_end_us = begin_us + int(rng.choice([0, 1_000, 2_500, 200_000]))
    if isinstance(spec, ChannelSpec):
        return EventChunk(t_us, t_end_us, channel=addresses[0])
    x, y = addresses
    return EventChunk(t_us, t_end_us, x=x, y=y, on=rng.random(size) < 0.5)


def messages(spec: GridSpec | ChannelSpec, seed: int, number: int = 12) -> list[EventChunk]:
    """Chunks as they come over the wire, with their bytes unread."""
    rng, begin_us, found = np.random.default_rng(seed), 10_000, []
    at = Cursor("s", geometry_of(make_network(geometry=spec).spec.input), 1)
    for _ in range(number):
        chunk = random_chunk(spec, rng, begin_us)
        begin_us = max(begin_us, chunk.t_end_us)
        found += [decode(frames).chunk for frames in encode(chunk, at)]
    return found


def as_columns(chunk: EventChunk) -> EventChunk:
    return replace(chunk, lost=chunk.lost)


def decided(pipeline: Pipeline, chunks: list[EventChunk], steps: list[int]) -> list[Decision]:
    told: list[Decision | None] = []
    for k, chunk in enumerate(chunks):
        if steps:
            pipeline.change_step(steps[k % len(steps)])
        told += pipeline.feed(chunk, 0.0)
    return [d for d in [*told, *pipeline.finish(0.0)] if d is not None]


@settings(max_examples=40)
@given(
    spec=geometries,
    seed=seeds,
    lateness_us=st.sampled_from([0, 2_500]),
    steps=st.lists(st.sampled_from(STEPS_US), max_size=3),
)
def test_a_message_decides_as_its_columns_do(
    spec: GridSpec | ChannelSpec, seed: int, lateness_us: int, steps: list[int]
) -> None:
    """To the last bit: labels, scores, times and where every event went."""
    served, unread = deployment(spec, lateness_us), messages(spec, seed)
    columns = [as_columns(chunk) for chunk in unread]
    assert all(chunk.packet is None for chunk in columns)
    geometry = geometry_of(served.layout.spec)
    direct, plain = served.open("s", geometry), served.open("s", geometry)
    assert decided(direct, unread, steps) == decided(plain, columns, steps)
    assert direct.counters == plain.counters
    assert direct.counters.received == sum(map(len, columns))
    saved = served.engine.save_state(direct.state)
    for name, values in served.engine.save_state(plain.state).items():
        np.testing.assert_array_equal(saved[name], values, err_msg=name)


@settings(max_examples=40)
@given(spec=geometries, seed=seeds, lateness_us=st.sampled_from([0, 2_500]))
def test_the_bytes_of_a_message_are_binned_as_its_columns_are(
    spec: GridSpec | ChannelSpec, seed: int, lateness_us: int
) -> None:
    layout = layout_of(make_network(geometry=spec).spec.input)
    found = []
    for read in (lambda chunk: chunk, as_columns):
        counters = Counters()
        binner = Binner(layout, 1_000, counters, lateness_us)
        blocks: list[tuple[int, list[list[float]]]] = []
        for chunk in messages(spec, seed):
            blocks += [
                (block.first, with_zeros(block.bins, layout.inputs).tolist())
                for block in binner.feed(read(chunk))
            ]
        found.append((blocks, counters))
    assert found[0] == found[1]


def test_a_message_is_stepped_as_it_is_binned_on_the_engine_sparse_alone() -> None:
    served = deployment(GRID, 0)
    geometry = geometry_of(served.layout.spec)
    onnx = load_engine(served.model, served.engine.resolution, "onnx")
    chunk = next(each for each in messages(GRID, 3) if len(each) and each.t_end_us % 1_000 == 0)
    blocks = [
        list(each.open("s", geometry).take(part))
        for each, part in (
            (served, chunk),
            (served, as_columns(chunk)),
            (replace(served, engine=onnx), chunk),
        )
    ]
    assert [{block.y is not None for block in each} for each in blocks] == [
        {True},
        {False},
        {False},
    ]
    assert [each[-1].more for each in blocks] == [False, False, False]


def test_a_stream_whose_state_is_replaced_is_stepped_by_the_new_one() -> None:
    served, unread = deployment(GRID, 0), messages(GRID, 7, 30)
    geometry = geometry_of(served.layout.spec)
    direct, plain = served.open("s", geometry), served.open("s", geometry)
    found = []
    for pipeline, chunks in ((direct, unread), (plain, [as_columns(each) for each in unread])):
        told = decided(pipeline, chunks[:15], [])
        pipeline.state = served.engine.load_state(served.engine.save_state(pipeline.state))
        found.append(told + decided(pipeline, chunks[15:], []))
    assert found[0] == found[1]


def test_one_turn_is_enough_for_a_message_that_closes_one_bin() -> None:
    decisions: list[Decision] = []
    replies: list[Reply] = []

    def reply(_owner: bytes, told: Reply) -> Delivery:
        replies.append(told)
        return "sent"

    served = deployment(GRID, 0)
    server = FeedServer(served, reply, decisions.append, EventLog(out=StringIO()))
    at = Cursor("s", geometry_of(served.layout.spec), 1)
    server.receive(b"me", encode_message("open", no_events(at.geometry, 0), at))
    place = np.full(1, 3, np.uint16)
    one = EventChunk(np.array([500]), 1_000, x=place, y=place, on=np.ones(1, np.bool_))
    server.receive(b"me", encode_message("events", one, at))
    replies.clear()
    server.turn()
    server.acknowledge()
    assert (len(decisions), server.rest_us()) == (1, None)
    assert replies == [Credit(1, "s", 1, 0, WINDOW)]


@given(seeds, st.sampled_from([1.0, 2.0, 0.5]))
def test_the_mean_of_a_bin_is_that_of_numpy(seed: int, worth: float) -> None:
    rng = np.random.default_rng(seed)
    ours, plain = new_memory(7), new_memory(7)
    ours[WORTH] = plain[WORTH] = worth
    for y in rng.normal(size=(20, 7)).round(1).astype(np.float32):
        assert add_bin(ours, y) == add_bin_numpy(plain, y)
        np.testing.assert_array_equal(ours, plain)


@given(st.lists(st.sampled_from([np.nan, -1.0, 0.0, 1.0, np.inf, -np.inf]), min_size=1))
def test_the_best_label_is_that_of_argmax_whatever_the_scores_are(y: list[float]) -> None:
    ours, plain = new_memory(len(y)), new_memory(len(y))
    ours[WORTH] = plain[WORTH] = 1.0
    assert add_bin(ours, np.array(y, np.float32)) == add_bin_numpy(plain, np.array(y, np.float32))


@pytest.mark.parametrize("spec", [GRID, CHANNELS])
def test_who_looks_at_a_column_of_a_message_finds_what_was_sent(
    spec: GridSpec | ChannelSpec,
) -> None:
    rng = np.random.default_rng(5)
    geometry = geometry_of(make_network(geometry=spec).spec.input)
    sent = random_chunk(spec, rng, 50_000)
    while not len(sent):
        sent = random_chunk(spec, rng, 50_000)
    (frames,) = encode(sent, Cursor("s", geometry, 1, sequence=4))
    chunk = decode(frames).chunk
    assert (len(chunk), chunk.t_end_us, chunk.sequence) == (len(sent), sent.t_end_us, 4)
    for name in ("t_us", "x", "y", "on", "channel"):
        np.testing.assert_array_equal(getattr(chunk, name), getattr(sent, name))
    assert (dict(chunk.problems), dict(chunk.removed)) == ({}, {})
    with pytest.raises(AttributeError, match="z"):
        chunk.z  # type: ignore[attr-defined]  # noqa: B018
