"""Do what is not done yet, on a few processes, most important first; any stop resumes."""

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.adaptation.estimate import Estimate
from benchmarks.adaptation.jobs import Adapt, Evaluate, Job, Planned, Train
from benchmarks.adaptation.progress import progress
from benchmarks.adaptation.store import Store, read_result, read_trained
from benchmarks.adaptation.work import begin, do


@dataclass(slots=True)
class Outcome:
    """What a run did: how many jobs were done before it and by it, and which failed and why."""

    before: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def run(plan: Sequence[Planned], store: Store, workers: int) -> Outcome:
    """Do every job of a plan that is not done yet.

    A job that fails stops no other but those that need its network.

    Raises:
        KeyboardInterrupt: the run was stopped; what was being done is done anew next time.
    """
    outcome, estimate = Outcome(), Estimate()
    waiting = _sorted_out(plan, store, outcome, estimate)
    if not waiting:
        return outcome
    queue = _Queue(waiting, estimate)
    total = len(plan)
    with progress(total) as show, _pool(workers) as pool:
        running: dict[Future[float], tuple[Job, float]] = {}
        while queue or running:
            while queue and len(running) < workers:
                job = queue.take()
                if job is None:
                    break
                future = _submit(pool, job, store, outcome)
                if future is None:
                    queue.fail(job, outcome)
                else:
                    running[future] = (job, time.monotonic())
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                job, _ = running.pop(future)
                _hear(future, job, queue, store, outcome, estimate)
                left_s = estimate.total_s(queue.jobs()) + sum(
                    max(0.0, estimate.seconds(other) - (time.monotonic() - began))
                    for other, began in running.values()
                )
                finished = outcome.before + outcome.done + len(outcome.failed)
                show(finished, total, left_s / workers, job.name)
    return outcome


class _Queue:
    """The jobs that wait, by stage and then the longest first; evaluations wait for networks."""

    def __init__(self, waiting: list[Planned], estimate: Estimate) -> None:
        ordered = sorted(waiting, key=lambda p: (p.stage, -estimate.seconds(p.job)))
        self._ready: list[Planned] = []
        self._blocked: dict[Train, list[Planned]] = {}
        trains = {planned.job for planned in waiting if isinstance(planned.job, Train)}
        for planned in ordered:
            train = None if isinstance(planned.job, Train) else planned.job.train
            if train in trains:
                self._blocked.setdefault(train, []).append(planned)
            else:
                self._ready.append(planned)

    def __len__(self) -> int:
        return len(self._ready) + sum(map(len, self._blocked.values()))

    def take(self) -> Job | None:
        """Return the next job, None where all that is left waits for a network."""
        if not self._ready:
            return None
        return self._ready.pop(0).job

    def release(self, train: Train) -> None:
        """Let the jobs of a network that is trained now come next within their stage."""
        freed = self._blocked.pop(train, [])
        self._ready = sorted([*freed, *self._ready], key=lambda planned: planned.stage)

    def fail(self, job: Job, outcome: Outcome) -> None:
        """Give the jobs up that need a network which failed."""
        if isinstance(job, Train):
            for planned in self._blocked.pop(job, []):
                outcome.failed[planned.job.name] = f"its network {job.name} failed"

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs that wait."""
        for planned in self._ready:
            yield planned.job
        for several in self._blocked.values():
            for planned in several:
                yield planned.job


def _sorted_out(
    plan: Sequence[Planned], store: Store, outcome: Outcome, estimate: Estimate
) -> list[Planned]:
    """The jobs that are not done; the others teach how long such jobs take."""
    waiting = []
    for planned in plan:
        try:
            done = store.is_done(planned.job)
        # A data set that is missing, or a key that the preset has not: told at the end.
        except Exception as error:  # noqa: BLE001
            outcome.failed[planned.job.name] = _reason(error)
            continue
        if done:
            outcome.before += 1
            _learn(planned.job, store, estimate)
        else:
            waiting.append(planned)
    return waiting


def _learn(job: Job, store: Store, estimate: Estimate) -> None:
    if isinstance(job, Train):
        trained = read_trained(job, store.places)
        if trained is not None:
            estimate.learn(job, trained.wall_s)
    elif isinstance(job, Evaluate):
        result = read_result(job, store.places)
        if result is not None and result.wall_s:
            estimate.learn(job, result.wall_s)


def _submit(
    pool: ProcessPoolExecutor, job: Job, store: Store, outcome: Outcome
) -> Future[float] | None:
    try:
        train = job.train if isinstance(job, Evaluate | Adapt) else job
        return pool.submit(do, job, store.key_of(job), store.settings_of(train), store.places)
    except BrokenProcessPool:
        raise
    except Exception as error:  # noqa: BLE001
        outcome.failed[job.name] = _reason(error)
        return None


def _hear(
    future: Future[float],
    job: Job,
    queue: _Queue,
    store: Store,
    outcome: Outcome,
    estimate: Estimate,
) -> None:
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        raise error
    if error is not None:
        outcome.failed[job.name] = _reason(error)
        queue.fail(job, outcome)
        return
    outcome.done += 1
    estimate.learn(job, future.result())
    if isinstance(job, Train):
        store.forget(job)
        queue.release(job)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    # Spawned, since torch and ONNX Runtime have threads that a fork would lose.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=begin)
    try:
        yield pool
    except BaseException:
        # What is running leaves nothing half written, so nobody has to wait for it.
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
