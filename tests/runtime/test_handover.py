"""A stream goes on by another model: no event is lost or binned twice, live as in a replay."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retempo.exporters.description import GridSpec
from retempo.exporters.network import Network
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import parse_step, same_network
from retempo.runtime.binner import Binner
from retempo.runtime.counters import Counters
from retempo.runtime.decision import Decision
from retempo.runtime.deployment import Deployment, deploy
from retempo.runtime.engines import load_engine
from retempo.runtime.guard import GuardRules, Jump
from retempo.runtime.handover import Handover, common_edge_us
from retempo.runtime.layout import BinLayout
from retempo.runtime.pipeline import Pipeline
from retempo.runtime.sparse_bins import Block
from retempo.sensors.events import EventChunk
from tests.builders import cut, make_network, seeds
from tests.runtime.stand_in import GRID, events

SPEC = GridSpec(GRID.width, GRID.height, GRID.polarities)


def deployed(
    network: Network, dt_us: int, method: str = "integral", lateness_us: int = 0
) -> Deployment:
    resolution = resolve(network.spec, dt_us, method)
    model = parse_step(build_step(network, resolution).SerializeToString(), f"{dt_us}.onnx")
    deployment = deploy(load_engine(model, resolution, "sparse"))
    return replace(deployment, lateness_us=lateness_us, readout="bin")


def network(seed: int = 0) -> Network:
    return make_network(geometry=SPEC, seed=seed)


def disordered(size: int, span_us: int, seed: int, most_late_us: int) -> EventChunk:
    rng = np.random.default_rng(seed)
    t_us = np.sort(rng.integers(0, span_us, size))
    t_us = t_us[np.argsort(t_us + rng.integers(0, most_late_us + 1, size), kind="stable")]
    return events(t_us, span_us + 20_000, seed)


def decided(pipeline: Pipeline, chunks: Sequence[EventChunk]) -> list[Decision]:
    found = [d for chunk in chunks for d in pipeline.feed(chunk, 0.0)]
    return [d for d in found if d is not None]


def ended(pipeline: Pipeline) -> list[Decision]:
    return [d for d in pipeline.finish(0.0) if d is not None]


def essence(decisions: Sequence[Decision]) -> list[tuple[int, int, list[float], str]]:
    return [(d.t_us, d.dt_us, d.scores, d.model) for d in decisions]


def swapped(
    old: Deployment, new: Deployment, chunks: Sequence[EventChunk], at: int, *, carry: bool
) -> tuple[list[Decision], Pipeline]:
    pipeline = old.open("a", GRID)
    first = decided(pipeline, chunks[:at])
    pipeline.succeed(new.successor(carry=carry))
    rest = decided(pipeline, chunks[at:])
    return [*first, *rest, *ended(pipeline)], pipeline


def test_another_model_of_the_same_bins_steps_the_next_bin_that_closes() -> None:
    """Before the swap the old model's replay, behind it the new one's from an empty state."""
    old, new = deployed(network(0), 1_000), deployed(network(1), 1_000)
    chunks = cut(disordered(3_000, 100_000, 5, 0), [500, 1_400, 2_200])
    told, pipeline = swapped(old, new, chunks, 2, carry=False)
    edge_us = chunks[1].t_end_us // 1_000 * 1_000
    whole = old.open("a", GRID)
    before = decided(whole, chunks[:2])
    assert essence(told[: len(before)]) == essence(before)
    assert told[len(before) - 1].t_us == edge_us
    alone = new.open("a", GRID)
    late = np.flatnonzero(np.concatenate([c.t_us for c in chunks]) >= edge_us)[0]
    behind = cut(disordered(3_000, 100_000, 5, 0), [int(late)])[1]
    after = [*decided(alone, [behind]), *ended(alone)]
    assert essence(told[len(before) :]) == essence(after)
    counters = pipeline.counters
    assert (counters.received, counters.binned) == (3_000, 3_000)
    counters.check()


def test_the_same_network_goes_on_with_its_state() -> None:
    """A swap to the same file changes no decision, whatever the place."""
    deployment, again = deployed(network(), 1_000), deployed(network(), 1_000)
    chunks = cut(disordered(2_000, 60_000, 1, 0), [300, 900, 1_500])
    plain = deployment.open("a", GRID)
    expected = [*decided(plain, chunks), *ended(plain)]
    for at in range(4):
        told, _ = swapped(deployment, again, chunks, at, carry=True)
        assert essence(told) == essence(expected)


@pytest.mark.parametrize(("dt_us", "next_us"), [(1_000, 5_000), (5_000, 1_000), (2_000, 3_000)])
def test_another_step_of_the_same_network_is_a_change_of_resolution(
    dt_us: int, next_us: int
) -> None:
    """Up to the common edge the old step, from there the state carried over to the new one."""
    net = network()
    old, new = deployed(net, dt_us), deployed(net, next_us)
    whole = disordered(4_000, 120_000, 3, 0)
    chunks = cut(whole, [1_000, 2_000])
    told, pipeline = swapped(old, new, chunks, 1, carry=True)
    reached_us = int(chunks[0].t_us[-1]) // dt_us * dt_us + dt_us
    edge_us = common_edge_us(reached_us, dt_us, next_us)
    here = int(np.searchsorted(whole.t_us, edge_us))
    first, second = cut(whole, [here])
    plain = old.open("a", GRID)
    expected = decided(plain, [replace(first, t_end_us=edge_us)])
    state = plain.state
    old.engine.set_resolution(state, new.engine.resolution)
    behind = new.open("a", GRID)
    behind.state = new.engine.load_state(old.engine.save_state(state), new.engine.resolution)
    expected += [*decided(behind, [second]), *ended(behind)]
    assert [d[:3] for d in essence(told)] == [d[:3] for d in essence(expected)]
    assert pipeline.counters.switches == 1
    assert pipeline.counters.binned == 4_000
    pipeline.counters.check()


@settings(max_examples=60)
@given(
    st.sampled_from([500, 1_000, 1_700, 4_000, 10_000]),
    st.sampled_from([500, 1_000, 1_700, 4_000, 10_000]),
    st.sampled_from([0, 300, 2_000, 7_000]),
    st.lists(st.integers(0, 600), min_size=2, max_size=6, unique=True),
    st.integers(0, 5),
    seeds,
)
def test_no_event_is_lost_or_binned_twice(
    dt_us: int, next_us: int, lateness_us: int, cuts: list[int], at: int, seed: int
) -> None:
    """Every event within the lateness is in one bin, of the model on whose side of the edge it is;
    and however the stream is cut behind the handover, the bins are the same.
    """
    whole = disordered(600, 50_000, seed, lateness_us)
    chunks = cut(whole, cuts)
    at = min(at, len(chunks) - 1)
    finer = [piece for chunk in chunks[at:] for piece in cut(chunk, range(1, len(chunk), 7))]
    outcomes = []
    for rest in (chunks[at:], finer):
        counters = Counters()
        old = Binner(layout(), dt_us, counters, lateness_us)
        blocks = copied(b for chunk in chunks[:at] for b in old.feed(chunk))
        if not old.begun:
            return
        new = Binner(layout(), next_us, counters, lateness_us)
        switched: list[int] = []
        both = Handover(old, new, lateness_us, partial(note, switched, blocks))
        for chunk in rest:
            for block in both.feed(chunk):
                blocks += copied([block])
        for block in both.finish():
            blocks += copied([block])
        counters.check()
        assert (counters.late, counters.binned) == (0, 600)
        assert sum(values.sum() for _, _, _, values in blocks) == 600
        ends = [(first + bins) * length for first, length, bins, _ in blocks]
        assert ends == sorted(ends)
        lengths = [length for _, length, _, _ in blocks]
        if switched:
            assert set(lengths[: switched[0]]) <= {dt_us}
            assert set(lengths[switched[0] :]) <= {next_us}
        outcomes.append(flat(blocks))
    assert outcomes[0] == outcomes[1]


def note(switched: list[int], blocks: list["Copied"]) -> None:
    switched.append(len(blocks))


def layout() -> BinLayout:
    return deployed(network(), 10_000).layout


Copied = tuple[int, int, int, NDArray[np.float32]]


def copied(blocks: Iterable[Block]) -> list[Copied]:
    return [(b.first, b.dt_us, len(b.bins), np.array(b.bins.values)) for b in blocks]


def flat(blocks: Sequence[Copied]) -> tuple[list[tuple[int, int]], list[float]]:
    bins = [(first + k, length) for first, length, bins, _ in blocks for k in range(bins)]
    return bins, np.concatenate([values for _, _, _, values in blocks]).tolist()


def test_two_grids_meet_at_a_common_edge_where_there_is_one_near() -> None:
    assert common_edge_us(7_000, 1_000, 10_000) == 10_000
    assert common_edge_us(10_000, 10_000, 1_000) == 10_000
    assert common_edge_us(9_000, 3_000, 2_000) == 12_000
    assert common_edge_us(999_999, 999_999, 1_000_001) == 999_999


def test_a_second_swap_before_the_first_has_come_to_its_edge_loses_nothing() -> None:
    models = [deployed(network(k), dt) for k, dt in enumerate((10_000, 3_000, 7_000, 10_000))]
    pipeline = models[0].open("a", GRID)
    chunks = cut(disordered(1_000, 200_000, 4, 0), list(range(0, 1_000, 9)))
    told = decided(pipeline, chunks[:20])
    for k, model in enumerate(models[1:]):
        pipeline.succeed(model.successor(carry=False))
        told += decided(pipeline, chunks[20 + k : 21 + k])
    told += [*decided(pipeline, chunks[23:]), *ended(pipeline)]
    assert pipeline.counters.binned == pipeline.counters.received == 1_000
    times = [d.t_us for d in told if not d.final]
    assert times == sorted(set(times))
    assert told[-1].model == models[-1].model.identity
    assert not pipeline.handing_over


def test_one_network_at_two_resolutions_is_known_and_another_is_not() -> None:
    net = network()
    fine, coarse = deployed(net, 1_000).model, deployed(net, 10_000).model
    assert fine.identity != coarse.identity
    assert same_network(fine, coarse)
    assert not same_network(fine, deployed(network(1), 1_000).model)
    changed = {name: w * np.float32(1.5) for name, w in net.weights.items()}
    assert not same_network(fine, deployed(Network(net.spec, changed), 1_000).model)


@pytest.mark.parametrize(("dt_us", "next_us"), [(1_000, 1_000), (1_000, 4_000), (5_000, 1_000)])
def test_nothing_of_a_message_is_left_when_its_last_block_says_so(dt_us: int, next_us: int) -> None:
    """The daemon settles a message with the block behind which no other is promised."""
    old, new = deployed(network(0), dt_us), deployed(network(1), next_us)
    chunks = cut(disordered(3_000, 100_000, 5, 0), [500, 1_400, 2_200])

    def settled(pipeline: Pipeline, chunk: EventChunk) -> list[Decision]:
        made = []
        for block in pipeline.take(chunk):
            y, took_us = pipeline.step(block)
            made += pipeline.decide(block, y, took_us, 0.0)
            if not block.more:
                break
        return made

    whole, _ = swapped(old, new, chunks, 2, carry=False)
    pipeline = old.open("a", GRID)
    told = [d for chunk in chunks[:2] for d in settled(pipeline, chunk)]
    pipeline.succeed(new.successor(carry=False))
    told += [d for chunk in chunks[2:] for d in settled(pipeline, chunk)]
    assert essence([*told, *ended(pipeline)]) == essence(whole)
    assert pipeline.counters.received == pipeline.counters.binned == 3_000


@pytest.mark.parametrize("next_us", [4_000, 1_000])
def test_a_clock_set_back_behind_a_swap_goes_on_at_an_edge_of_the_new_bins(next_us: int) -> None:
    rules = GuardRules(back_us=5_000)
    old, new = (replace(deployed(network(0), dt), guard=rules) for dt in (1_000, next_us))
    pipeline = old.open("a", GRID)
    decided(pipeline, [events(np.arange(0, 20_000, 500), 20_000)])
    pipeline.succeed(new.successor(carry=False))
    decided(pipeline, [events(np.arange(20_000, 41_000, 500), 41_000)])
    assert not pipeline.handing_over
    jumps: list[Jump] = []
    pipeline.on_jump = jumps.append
    decided(pipeline, [events(np.arange(0, 20_000, 1_000), 20_000)])
    (jump,) = jumps
    assert jump.to_us == 41_000 // next_us * next_us + next_us
