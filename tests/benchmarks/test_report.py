from dataclasses import replace
from pathlib import Path

import msgspec

from benchmarks.adaptation.jobs import Evaluate, Train
from benchmarks.adaptation.report import write_report
from benchmarks.adaptation.settings import Places, settings_digest
from benchmarks.adaptation.store import Result, Trained, run_of, write_result, write_trained
from benchmarks.adaptation.studies import STUDIES
from benchmarks.adaptation.verdicts import ranks, verdicts
from tests.benchmarks.tiny import tiny_study, tiny_table

PNG = b"\x89PNG"


def fake(neuron: str, source_us: int, dt_us: int, way: str, correct: int, seed: int = 0) -> Result:
    return Result(
        key="k",
        settings="s",
        data="d",
        neuron=neuron,
        variant="",
        seed=seed,
        source_us=source_us,
        dt_us=dt_us,
        way=way,
        correct=correct,
        total=100,
        spike_rate_hz=2.0,
        steps=1_000,
        wall_s=0.5,
        training_s=30.0,
        epochs=2,
    )


ROWS = [
    fake("radlif", 10_000, 10_000, "none", 95),
    fake("radlif", 10_000, 10_000, "none", 97, seed=1),
    fake("radlif", 10_000, 1_000, "auto", 95),
    fake("radlif", 10_000, 1_000, "auto", 95, seed=1),
    fake("radlif", 10_000, 1_000, "integral", 90),
    fake("radlif", 10_000, 1_000, "tau", 91),
    fake("radlif", 10_000, 20_000, "auto", 90),
    fake("radlif", 20_000, 20_000, "none", 93),
    fake("radlif", 10_000, 40_000, "auto", 90),
]


def test_auto_is_held_against_home_when_finer_and_against_the_native_network_when_coarser() -> None:
    found = {v.dt_us: v for v in verdicts(ROWS)}
    assert set(found) == {1_000, 20_000}  # nobody was trained at 40 ms
    assert (found[1_000].points, found[1_000].seeds, found[1_000].kept) == (-1.0, 2, True)
    assert (found[20_000].points, found[20_000].seeds, found[20_000].kept) == (-3.0, 1, False)


def test_methods_are_ranked_setting_by_setting() -> None:
    found = {(rank.better, rank.worse, rank.finer): rank for rank in ranks(ROWS)}
    first = found["auto", "integral", True]
    assert (first.wins, first.settings, first.points) == (1, 1, 5.0)
    assert found["integral", "tau", True].wins == 0


def write_fakes(places: Places, share: int = 1) -> int:
    """A result for every `share`-th job of the tiny plan."""
    jobs = [planned.job for planned in tiny_study(tiny_table()).plan(False)]
    for position, job in enumerate(jobs[::share]):
        if isinstance(job, Train):
            digest = settings_digest(job)
            run_of(job, places).mkdir(parents=True)
            for name in ("network.json", "weights.safetensors", "training.json"):
                (run_of(job, places) / name).write_text("{}")
            write_trained(job, Trained("k", digest, 30.0, 2, 12, 100), places)
        elif isinstance(job, Evaluate):
            settings = settings_digest(job.train)
            row = fake("radlif", job.train.dt_us, job.dt_us, job.way.name, 90 - position % 7)
            row = msgspec.structs.replace(row, settings=settings, data="simulated")
            write_result(job, row, places)
    return len(jobs)


def test_a_page_has_its_command_its_tables_and_its_pictures(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "runs")
    write_fakes(places)
    out = tmp_path / "out"
    written = write_report([tiny_study(tiny_table())], places, out, "the command", quick=False)
    assert [path.name for path in written] == [
        "adaptation-tiny.md",
        "adaptation-tiny.csv",
        "open-questions.md",
    ]
    page = (out / "adaptation-tiny.md").read_text()
    assert page.startswith("# Tiny\n\n    the command --study tiny\n\nDoes it run?")
    assert "Nothing is missing" in page
    assert "an accuracy of 95 % has a standard error of 2.2 points" in page
    assert "| 5 ms | 1/2 |" in page
    assert str(tmp_path) not in page
    rows = (out / "adaptation-tiny.csv").read_text().splitlines()
    assert rows[0].startswith("data,neuron,variant,source_us,dt_us,ratio,seed,way,correct,total")
    assert len(rows) == 1 + 1 + 2 * 8 + 1
    for name in ("adaptation-tiny.png", "adaptation-tiny-auto.png"):
        assert (out / name).read_bytes().startswith(PNG)
        assert f"({name})" in page


def test_a_page_says_what_is_missing(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "runs")
    jobs = write_fakes(places, share=2)
    write_report([tiny_study(tiny_table())], places, tmp_path, "the command", quick=False)
    page = (tmp_path / "adaptation-tiny.md").read_text()
    assert "**Missing:**" in page
    assert f"{jobs // 2 - 1} tests not done" in page or f"{jobs // 2} tests not done" in page


def test_results_of_other_settings_are_not_shown(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "runs")
    write_fakes(places)
    changed = replace(tiny_table(), changes=(("fit.epochs", 3),))
    assert write_report([tiny_study(changed)], places, tmp_path / "out", "c", quick=False) == []


def test_a_study_without_results_gets_no_page(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path / "runs")
    every = list(STUDIES.values())
    assert write_report(every, places, tmp_path / "out", "the command", quick=False) == []
