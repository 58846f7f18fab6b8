"""The fuzzer: its inputs repeat, readers keep their promises, and it sees those that do not."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz_readers import Job, fuzz, run_one
from benchmarks.fuzzing.examine import BrokenPromiseError, Outcome, examine
from benchmarks.fuzzing.mutations import Input, input_of
from benchmarks.fuzzing.results import Tally
from benchmarks.fuzzing.seeds import Seed, seeds
from retempo.sensors.columns import Columns, no_events
from retempo.sensors.files import registry
from retempo.sensors.files.format import Format, Opened
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.problems import NO_PROBLEMS, Problems, problem

OURS = ("AEDAT2", "AEDAT3", "AEDAT4", "DAT", "ES", "N-Caltech101", "N-MNIST", "NAS")
SEED = Seed("Fake", ".fake", b"fake bytes")
GIVEN = Input(SEED, ".fake", SEED.data, None, 4)


@pytest.fixture(scope="module")
def every() -> list[Seed]:
    return seeds(None)


def test_every_format_has_a_seed(every: list[Seed]) -> None:
    assert {known.name for known in registry.FORMATS} <= {seed.format for seed in every}


def test_an_undamaged_seed_is_read_without_a_problem(every: list[Seed], tmp_path: Path) -> None:
    for seed in every:
        path = tmp_path / f"seed{seed.suffix}"
        path.write_bytes(seed.data)
        geometry = None if seed.suffix != ".txt" else GridGeometry(34, 34)
        outcome = examine(path, Input(seed, seed.suffix, seed.data, geometry, 7))
        assert (outcome.format, outcome.problems) == (seed.format, 0)
        assert outcome.events > 0


def test_a_number_is_always_the_same_input(every: list[Seed]) -> None:
    first = [input_of(number, 3, every, OURS) for number in range(200)]
    assert first == [input_of(number, 3, every, OURS) for number in range(200)]
    assert first != [input_of(number, 4, every, OURS) for number in range(200)]
    assert {given.seed.format for given in first} == set(OURS)
    assert sum(given.data != given.seed.data for given in first) > 180


def test_damaged_recordings_break_no_promise(every: list[Seed], tmp_path: Path) -> None:
    job = Job(every, list(OURS), 5, 800, 1, tmp_path)
    tally = Tally()
    found = [run_one(job, number, tmp_path / "a", tally) for number in range(800)]
    assert [text for text in found if text and not text.startswith("slow")] == []
    assert (tally.inputs, tally.refused > 50, tally.troubled > 150) == (800, True, True)


def columns(size: int, problems: Problems = NO_PROBLEMS, x: int = 0) -> Columns:
    address = np.full(size, x, np.uint16)
    return Columns(np.arange(size), address, address, np.zeros(size, bool), problems)


def endless() -> Iterator[Columns]:
    while True:
        yield columns(40)


def raising() -> Iterator[Columns]:
    yield columns(3)
    raise ValueError("a reader's own slip")


def unequal(calls: list[int]) -> Iterator[Columns]:
    calls.append(len(calls))
    yield columns(3 + len(calls))


@pytest.mark.parametrize(
    ("decode", "words"),
    [
        (raising, "a reader's own slip"),
        (endless, "more than 1000 events in 10 bytes"),
        (partial(unequal, []), "stop without a problem: 5 events, expected 4"),
        (
            lambda: iter([columns(2, problem("nonsense", "it is", 1))]),
            r"unknown kinds \['nonsense'\]",
        ),
    ],
)
def test_a_broken_promise_is_seen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    decode: Callable[[], Iterator[Columns]],
    words: str,
) -> None:
    monkeypatch.setattr("benchmarks.fuzzing.examine._MOST_EVENTS", 1_000)
    opened = Opened(GridGeometry(8, 8), decode)
    fake = Format("Fake", (".fake",), lambda _head, _path: True, lambda *_: opened)
    monkeypatch.setattr(registry, "FORMATS", (fake,))
    path = tmp_path / "a.fake"
    path.write_bytes(SEED.data)
    with pytest.raises((BrokenPromiseError, ValueError), match=words):
        examine(path, GIVEN)


def test_a_kept_promise_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [columns(3), no_events(problem("damaged", "it is damaged", 0)), columns(2, x=9)]
    opened = Opened(GridGeometry(8, 8), lambda: iter(pieces))
    fake = Format("Fake", (".fake",), lambda _head, _path: True, lambda *_: opened)
    monkeypatch.setattr(registry, "FORMATS", (fake,))
    path = tmp_path / "a.fake"
    path.write_bytes(SEED.data)
    assert examine(path, GIVEN) == Outcome("Fake", 3, 3)


def test_a_child_that_crashes_is_told_and_replaced(every: list[Seed], tmp_path: Path) -> None:
    es = [seed for seed in every if seed.format == "ES"]
    # No seed is of the other format, so that every third input ends its child, which takes along
    # what it had not told yet.
    results = fuzz(Job(es, ["ES", "ES", "no such"], 0, 6, 1, tmp_path))
    assert 1 <= results.tallies["ES"].inputs <= 4
    assert results.findings == {"no such: crashes with exit status 1": 2}
    assert results.examples == {"no such: crashes with exit status 1": 2}
