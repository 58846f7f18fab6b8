from collections import Counter
from dataclasses import replace
from math import pi

import pytest

from benchmarks.adaptation.jobs import Evaluate, Train
from benchmarks.adaptation.pictures import ratio_name
from benchmarks.adaptation.plan import (
    ALL_WAYS,
    DATA,
    Table,
    left_out,
    native_targets,
    plan_table,
    target_us,
    targets,
)
from benchmarks.adaptation.settings import config_of
from benchmarks.adaptation.studies import STUDIES, USUAL
from benchmarks.adaptation.studies.study import jobs_of
from retempo.exporters.adaptation import METHODS

TABLE = Table(DATA["nmnist"])


def test_the_ratios_of_the_issue_are_measured_both_ways() -> None:
    measured = {dt_us for dt_us, _ in targets(TABLE, 10_000)}
    assert measured == {
        10_000,
        *(5_000, 3_333, 2_500, 1_000, 20_000, 30_000, 40_000, 100_000),
        *(500, 200, 100, 200_000, 500_000, 1_000_000),
        *(6_667, 4_000, 3_183, 15_000, 25_000, 31_416),
    }


def test_networks_are_trained_at_every_coarse_target_of_a_moderate_ratio() -> None:
    in_ms = sorted(dt_us / 1e3 for dt_us in native_targets(TABLE))
    assert in_ms == [2, 3, 4, 6, 8, 10, 12, 16, 20, 30, 40, 100]


def test_a_target_is_a_whole_number_of_microseconds() -> None:
    assert target_us(10_000, 1 / pi) == 3_183
    assert target_us(1, 0.01) == 1


def test_every_method_but_those_that_auto_stands_for_has_its_row() -> None:
    assert {way.method for way in ALL_WAYS} == set(METHODS) - {"lag", "substep"}


@pytest.mark.parametrize("quick", [False, True])
def test_no_job_is_planned_twice_and_no_two_share_a_place(quick: bool) -> None:
    plan = jobs_of(list(STUDIES.values()), quick=quick)
    assert max(Counter(planned.job for planned in plan).values()) == 1
    assert max(Counter(planned.job.name for planned in plan).values()) == 1


def test_every_test_comes_with_its_network_and_not_before_it() -> None:
    plan = jobs_of([STUDIES[name] for name in USUAL], quick=False)
    stages = {planned.job: planned.stage for planned in plan if isinstance(planned.job, Train)}
    for planned in plan:
        if not isinstance(planned.job, Train):
            assert planned.stage >= stages[planned.job.train]


def test_the_seeds_of_a_source_may_come_at_different_stages() -> None:
    assert TABLE.source_steps_us == [10_000, 4_000, 2_000, 1_000]
    trained = {(p.job.dt_us, p.job.seed) for p in plan_table(TABLE) if isinstance(p.job, Train)}
    assert {seed for dt_us, seed in trained if dt_us == 2_000} == {0, 1, 2}


def test_the_costliest_source_is_trained_with_one_seed_only() -> None:
    seeds = {
        p.job.seed for p in plan_table(TABLE) if isinstance(p.job, Train) and p.job.dt_us == 1_000
    }
    assert seeds == {0}


def test_what_the_budget_leaves_out_is_named_and_not_planned() -> None:
    whole = Table(replace(DATA["nmnist"], test_recordings=10_000))
    omitted = {dt_us for _, dt_us in left_out(whole)}
    planned = {p.job.dt_us for p in plan_table(whole) if isinstance(p.job, Evaluate)}
    assert omitted
    assert not omitted & planned


def test_a_preset_keeps_of_its_ranges_those_that_another_neuron_has() -> None:
    config = config_of(Train(DATA["nmnist"], "lif", 2_500, 1))
    assert (config.network.neuron, config.input.dt, config.fit.seed) == ("lif", "2500us", 1)
    assert config.network.ranges == {}
    assert config_of(Train(DATA["nmnist"], "adlif", 2_500, 1)).network.ranges == {"a": (0.0, 1.0)}


def test_ratios_are_named_as_people_write_them() -> None:
    names = [ratio_name(dt_us / 10_000) for dt_us in (100, 3_183, 3_333, 4_000, 10_000, 31_416)]
    assert names == ["1/100", "1/π", "1/3", "1/2.5", "1", "π"]
