from pathlib import Path

import msgspec
import pytest

from benchmarks.adaptation.jobs import Evaluate, Planned, Train, Way
from benchmarks.adaptation.plan import AUTO, DATA, NONE
from benchmarks.adaptation.rows import gather
from benchmarks.adaptation.run import run
from benchmarks.adaptation.settings import Places
from benchmarks.adaptation.store import Store, read_result, result_file, run_of
from benchmarks.adaptation.work import do
from tests.benchmarks.tiny import RECORDINGS, TINY, tiny_places, tiny_study, tiny_table


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return tiny_places(tmp_path)


def do_all(plan: list[Planned], places: Places) -> int:
    """What `run` does, in this process: a worker takes seconds to start."""
    store, done = Store(places), 0
    for planned in plan:
        if not store.is_done(planned.job):
            train = planned.job if isinstance(planned.job, Train) else planned.job.train
            do(planned.job, store.key_of(planned.job), store.settings_of(train), places)
            if isinstance(planned.job, Train):
                store.forget(planned.job)
            done += 1
    return done


def test_a_run_in_processes_is_whole_and_a_second_one_has_nothing_to_do(
    places: Places, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = list(tiny_study(tiny_table()).plan(False))
    first = run(plan, Store(places), workers=1)
    assert (first.before, first.done, first.failed) == (0, len(plan), {})
    assert f"{len(plan)}/{len(plan)}" in capfd.readouterr().err
    stamps = {path: path.stat().st_mtime_ns for path in places.runs.rglob("*") if path.is_file()}
    second = run(plan, Store(places), workers=1)
    assert (second.before, second.done, second.failed) == (len(plan), 0, {})
    after = {path: path.stat().st_mtime_ns for path in places.runs.rglob("*") if path.is_file()}
    assert after == stamps


def test_what_was_stopped_goes_on_with_what_is_missing(places: Places) -> None:
    plan = list(tiny_study(tiny_table()).plan(False))
    assert do_all(plan, places) == len(plan)
    jobs = [planned.job for planned in plan if isinstance(planned.job, Evaluate)]
    result_file(jobs[0], places).unlink()
    result_file(jobs[1], places).write_text("{ torn")
    assert do_all(plan, places) == 2


def test_a_changed_preset_is_trained_and_tested_anew(places: Places) -> None:
    plan = list(tiny_study(tiny_table()).plan(False))
    do_all(plan, places)
    changed = (*TINY, ("fit.learning_rate", 1e-3))
    again = list(tiny_study(tiny_table(changed)).plan(False))
    found = gather((planned.job for planned in again), places)
    assert not found.results
    assert do_all(again, places) == len(again)


def test_other_recordings_are_trained_on_and_tested_anew(places: Places) -> None:
    plan = list(tiny_study(tiny_table()).plan(False))[:3]
    do_all(plan, places)
    assert do_all(plan, places) == 0
    recording = next((places.data_root / "tiny" / "test").iterdir())
    recording.write_bytes(recording.read_bytes()[:-5])
    assert do_all(plan, places) == 3


def test_another_network_is_tested_anew(places: Places) -> None:
    plan = list(tiny_study(tiny_table()).plan(False))
    do_all(plan, places)
    train = next(planned.job for planned in plan if isinstance(planned.job, Train))
    description = run_of(train, places) / "network.json"
    description.write_text(description.read_text() + "\n")
    store = Store(places)
    of_it = [p.job for p in plan if isinstance(p.job, Evaluate) and p.job.train == train]
    assert store.is_done(train)
    assert not any(store.is_done(job) for job in of_it)


def test_results_carry_accuracy_pace_spikes_and_the_time_of_the_training(places: Places) -> None:
    plan = list(tiny_study(tiny_table()).plan(False))
    do_all(plan, places)
    job = next(
        p.job
        for p in plan
        if isinstance(p.job, Evaluate) and (p.job.dt_us, p.job.way) == (5_000, AUTO)
    )
    result = read_result(job, places)
    assert result is not None
    assert (result.source_us, result.ratio, result.total) == (10_000, 0.5, RECORDINGS)
    assert min(result.steps, result.wall_s, result.training_s) > 0
    assert result.spike_rate_hz >= 0.0


def test_a_failed_job_is_told_and_stops_none_but_its_own(places: Places) -> None:
    table = tiny_table()
    train = Train(table.data, "radlif", 10_000, 0, changes=TINY)
    unfit = Train(table.data, "radlif", 10_000, 1, "unfit", (*TINY, ("fit.learning_rate", 1e30)))
    unknown = Train(table.data, "radlif", 10_000, 2, "unknown", (("input.nonsense", 1),))
    jobs = (
        *(train, Evaluate(train, 10_000, NONE), Evaluate(train, 5_000, Way("odd", "nonsense"))),
        *(unfit, Evaluate(unfit, 10_000, NONE)),
        *(unknown, Evaluate(unknown, 10_000, NONE)),
    )
    outcome = run([Planned(job, 0) for job in jobs], Store(places), workers=1)
    assert outcome.done == 2
    assert sorted(outcome.failed) == sorted(job.name for job in jobs[2:])
    reasons = " ".join(outcome.failed.values())
    assert "unknown method 'nonsense'" in reasons
    assert "learning_rate" in reasons
    assert "has no [input] nonsense" in reasons
    assert f"its network {unfit.name} failed" in reasons


def test_a_data_set_that_is_missing_fails_by_name(places: Places) -> None:
    outcome = run([Planned(Train(DATA["nmnist"], "radlif", 10_000, 0), 0)], Store(places), 1)
    assert "holds no recordings of nmnist; see --data-root" in " ".join(outcome.failed.values())


def test_the_result_of_a_job_is_readable_data(places: Places) -> None:
    plan = list(tiny_study(tiny_table()).plan(False))
    do_all(plan[:2], places)
    job = plan[1].job
    assert isinstance(job, Evaluate)
    content = msgspec.json.decode(result_file(job, places).read_bytes())
    assert (content["neuron"], content["way"], content["seed"]) == ("radlif", "none", 0)
