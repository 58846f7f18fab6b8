"""The pure parts of the performance benchmark: its guard, its page, its search and its clock."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.performance.check import missing, worse
from benchmarks.performance.measure import built, in_turn
from benchmarks.performance.paces import Pace, latencies_us
from benchmarks.performance.page import page_of
from benchmarks.performance.results import (
    Part,
    Ratio,
    Results,
    Table,
    load_results,
    merged,
    ratio_of,
    save_results,
)
from benchmarks.performance.search import highest


def part(**ratios: Ratio) -> Part:
    return Part("Title", "how", [Table("what", ["who", "us"], [["we", "1"]])], ratios)


def test_a_ratio_that_fell_by_more_than_a_quarter_is_named() -> None:
    committed = Results({"steps": part(a=Ratio(8.0, 7.0, 9.0), b=Ratio(4.0, 4.0, 4.0))})
    measured = {"steps": {"a": Ratio(5.9, 5.9, 5.9), "b": Ratio(3.1, 3.1, 3.1)}}
    (line,) = worse(committed, measured)
    assert line == "steps: a: 5.90, was 8.00 (-26%)"


def test_better_ratios_and_unknown_ones_pass() -> None:
    committed = Results({"steps": part(a=Ratio(8.0, 7.0, 9.0))})
    measured = {"steps": {"a": Ratio(80.0, 1.0, 99.0), "new": Ratio(0.1, 0.1, 0.1)}}
    assert worse(committed, measured) == []
    assert worse(Results(), measured) == []


def test_a_target_that_is_measured_no_more_is_named() -> None:
    committed = Results({"steps": part(a=Ratio(8.0, 7.0, 9.0, 8.0), b=Ratio(1.0, 1.0, 1.0))})
    assert missing(committed, {"steps": {}}) == ["steps: a"]
    assert missing(committed, {"steps": {"a": Ratio(8.0, 8.0, 8.0)}}) == []


def test_a_target_is_met_from_its_value_on() -> None:
    assert Ratio(8.0, 1.0, 9.0, 8.0).met
    assert not Ratio(7.99, 7.0, 9.0, 8.0).met


def test_ratios_are_of_each_round() -> None:
    ratio = ratio_of(np.array([10.0, 20.0, 30.0]), np.array([1.0, 4.0, 3.0]))
    assert (ratio.median, ratio.low, ratio.high) == (10.0, 6.0, 10.0)


def test_results_are_read_as_written_and_parts_keep_their_order(tmp_path) -> None:  # type: ignore[no-untyped-def]
    old = Results({"binning": part(a=Ratio(1.0, 1.0, 1.0, 2.0))})
    results = merged(old, {"steps": part(b=Ratio(3.0, 2.0, 4.0))}, ("steps", "binning"))
    save_results(tmp_path, results)
    assert load_results(tmp_path) == results
    assert list(results.parts) == ["steps", "binning"]


def test_the_page_tells_what_was_missed() -> None:
    page = page_of(Results({"steps": part(a=Ratio(7.0, 6.0, 8.0, 8.0))}))
    assert "| Title | a | 7.00 (6.00 to 8.00) | 8 | no |" in page
    assert "python -m benchmarks.performance steps" in page


def test_contestants_take_turns_and_each_begins_once() -> None:
    order: list[str] = []

    def sampler(name: str) -> Callable[[], float]:
        def sample() -> float:
            order.append(name)
            return float(len(order))

        return sample

    timed = in_turn({name: sampler(name) for name in "abc"}, 3)
    assert "".join(order) == "abcbcacab"
    assert timed["a"].tolist() == [1.0, 6.0, 8.0]


def test_who_cannot_take_part_is_named_with_the_reason() -> None:
    def broken() -> Callable[[], float]:
        raise ImportError("no module\nof that name")

    samplers, absent = built({"a": lambda: lambda: 1.0, "b": broken})
    assert list(samplers) == ["a"]
    assert absent == {"b": "ImportError: no module"}


@given(st.floats(1.0, 4_000.0), st.floats(1.0, 1_000.0))
def test_the_highest_rate_is_found_to_a_step(limit: float, start: float) -> None:
    tried: list[float] = []

    def holds(value: float) -> bool:
        tried.append(value)
        return value <= limit

    found = highest(holds, start, 0.05)
    if start / 64.0 <= limit:
        assert limit / 1.06 <= found <= limit
    else:
        assert found <= limit
    assert len(tried) < 24


def test_a_latency_runs_from_the_closing_of_the_bin() -> None:
    paces: dict[str, Pace] = {"a": (100.0, 5_500, 7_900)}
    arrivals = [("a", 6_000, 100.0007), ("a", 7_000, 100.0025), ("a", 8_000, 100.0026)]
    assert latencies_us(paces, arrivals) == pytest.approx([200.0, 1_000.0], abs=0.01)
