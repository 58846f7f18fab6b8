"""What a worker does for a job. Runs in a process of its own."""

import statistics
import time
from functools import lru_cache
from typing import Any

import msgspec

from benchmarks.adaptation.jobs import Adapt, Evaluate, Job, Train
from benchmarks.adaptation.settings import Places, config_of, one_at_a_time, open_split, placed
from benchmarks.adaptation.store import (
    BATCH,
    Result,
    Trained,
    read_trained,
    run_of,
    write_result,
    write_trained,
)
from retempo.exporters.errors import UnfitError
from retempo.exporters.network import load_network
from retempo.exporters.resolution import resolve
from retempo.sensors.events import EventChunk
from retempo.training.config import TrainConfig
from retempo.training.datasets import limited
from retempo.training.evaluation import evaluate, model_of

_TIMED_ROUNDS = 15
# Enough for a mean and a variance a neuron.
_UNLABELLED = 100


def begin() -> None:
    """Keep a worker to one core."""
    import torch

    torch.set_num_threads(1)


def do(job: Job, key: str, settings: str, places: Places) -> float:
    """Do a job and leave its result in its place; return how long it took.

    Raises:
        RetempoError: the job cannot be done; the text says why.
    """
    began = time.perf_counter()
    if isinstance(job, Train):
        _train(job, key, settings, places)
    elif isinstance(job, Evaluate):
        write_result(job, _evaluate(job, key, settings, places), places)
    else:
        write_result(job, _adapt(job, key, settings, places), places)
    return time.perf_counter() - began


def _train(job: Train, key: str, settings: str, places: Places) -> None:
    # Torch is heavy, and evaluations do without.
    from retempo.training.fit import fit

    config = placed(config_of(job), job.data, places)
    with one_at_a_time(config):
        dataset = open_split(config, "train")
    report = fit(config, dataset, run_of(job, places))
    weights = load_network(report.out).weights.values()
    trained = Trained(
        key=key,
        settings=settings,
        wall_s=report.wall_s,
        epochs=report.epochs,
        recordings=report.recordings,
        parameters=sum(matrix.size for matrix in weights),
    )
    write_trained(job, trained, places)


def _evaluate(job: Evaluate, key: str, settings: str, places: Places) -> Result:
    run = run_of(job.train, places)
    config = placed(config_of(job.train), job.train.data, places)
    network = load_network(run)
    chunks, labels = _test_split(_data_sections(config))
    way = job.way
    # Passed on only where they are asked for, so that what is usual stays the default.
    asked: dict[str, Any] = {}
    if way.input_adaptation is not None:
        asked["input_adaptation"] = way.input_adaptation
        asked["sensor_dt_us"] = way.sensor_dt_us
    if way.normalisation == "measured":
        asked["unlabelled"] = _unlabelled(_data_sections(config))
    found = evaluate(
        model_of(network, run.name),
        chunks,
        labels,
        [job.dt_us],
        # With another input the network itself stays at its own time step.
        [] if way.input_adaptation and way.sensor_dt_us is None else [way.method],
        normalisation=way.normalisation,
        batch=BATCH,
        **asked,
    )[0]
    return msgspec.structs.replace(
        _row(job, key, settings, places),
        correct=found.correct,
        total=found.total,
        spike_rate_hz=found.spike_rate_hz,
        steps=found.steps,
        wall_s=found.wall_s,
        reason=found.reason,
    )


def _adapt(job: Adapt, key: str, settings: str, places: Places) -> Result:
    spec = load_network(run_of(job.train, places)).spec
    times_ms = []
    row = _row(job, key, settings, places)
    for _ in range(_TIMED_ROUNDS):
        began = time.perf_counter()
        try:
            resolve(spec, job.dt_us, job.way.method, job.way.normalisation)
        except UnfitError as error:
            return msgspec.structs.replace(row, reason=str(error))
        times_ms.append(1e3 * (time.perf_counter() - began))
    return msgspec.structs.replace(row, adapt_ms=statistics.median(times_ms))


def _row(job: Evaluate | Adapt, key: str, settings: str, places: Places) -> Result:
    train = job.train
    trained = read_trained(train, places)
    return Result(
        key=key,
        settings=settings,
        data=train.data.name,
        neuron=train.neuron,
        variant=train.variant,
        seed=train.seed,
        source_us=train.dt_us,
        dt_us=job.dt_us,
        way=job.way.name,
        training_s=0.0 if trained is None else trained.wall_s,
        epochs=0 if trained is None else trained.epochs,
    )


@lru_cache(maxsize=2)
def _test_split(data_sections: bytes) -> tuple[list[EventChunk], list[str]]:
    """The test recordings of a preset; kept, since most jobs in a row read the same."""
    config = msgspec.json.decode(data_sections, type=TrainConfig)
    with one_at_a_time(config):
        dataset = open_split(config, "test")
    items = [dataset[index] for index in range(len(dataset))]
    return [item.events for item in items], [dataset.labels[item.label] for item in items]


@lru_cache(maxsize=2)
def _unlabelled(data_sections: bytes) -> list[list[EventChunk]]:
    """Training recordings to measure the statistics of an input by; their labels are not read."""
    config = msgspec.json.decode(data_sections, type=TrainConfig)
    with one_at_a_time(config):
        dataset = limited(open_split(config, "train"), _UNLABELLED)
    return [[dataset[index].events] for index in range(len(dataset))]


def _data_sections(config: TrainConfig) -> bytes:
    """What the recordings follow from, alike for every network of a data set."""
    content = msgspec.to_builtins(config)
    return msgspec.json.encode(
        {key: content[key] for key in ("data", "cochlea", "ear") if key in content}
    )
