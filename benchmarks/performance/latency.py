"""End to end: from a bin's closing to its decision in another process."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.performance.paces import Arrival, Pace, latencies_us, load
from benchmarks.performance.pictures import distributions
from benchmarks.performance.processes import daemon, finished, ready_role, role, scratch
from benchmarks.performance.results import Part, Table, ratio_of, spread
from benchmarks.performance.step_engines import bare_graph
from retempo.demo.assets import MODEL
from retempo.exporters.step_graph import build_step
from retempo.exporters.step_model import load_step, network_of, parse_step
from retempo.sensors.files import open_recording
from retempo.sensors.files.registry import FORMATS

Loop = Callable[[list[Path]], NDArray[np.float64]]

OURS = "retempo publish, serve"
TEXT = """\
N-MNIST recordings (34x34, 0.3 s each) replayed at the sensor's own pace, bins of 1 ms, downsampled
by 2 to 578 inputs, 2 x 128 recurrent neurons, 10 labels; {recordings} recordings a round, {rounds}
rounds in turn, {bins:,} decisions of each loop in all. Microseconds on the monotonic clock of one
host, medians over the rounds with the 10th to 90th percentile.

The pace begins with the first event of a recording: it happens at an instant of the host's clock,
and any later instant of event time so much later. **A bin closes when that clock reaches its end**;
the latency runs from there until the third process holds the decision.

- `{ours}`: `retempo.runtime.publisher` at speed 1 -> ZeroMQ ipc -> `retempo serve` ->
  ZeroMQ ipc -> `Decisions`, three processes as they are delivered. The publisher hands over
  the events of a bin at its end.
- `EventCV, one process`: its reader's windows of 1 ms as polarity histograms, downsampled by 2
  within, and a `StatefulModel` of the same network; no other process, no socket. Each window is
  asked for when it is over. Its windows begin with the first event. The recordings are given as
  DAT, the format that it is fastest with.
- `pyzmq, tonic, snnTorch`: a publisher sends each bin the moment it is over -> PUSH/PULL over ipc
  -> tonic ToFrame -> two RLeaky of 128 in inference mode on one thread -> PUB/SUB over ipc."""


def measure(folder: Path, data: Path, *, quick: bool = False) -> Part:
    """Measure the three loops in turn; `quick` is for a look."""
    rounds, recordings = (1, 6) if quick else (3, 12)
    used = sorted((data / "nmnist" / "test").glob("*.bin"))[: rounds * recordings]
    loops: dict[str, Loop] = {
        OURS: _retempo,
        "EventCV, one process": _eventcv,
        "pyzmq, tonic, snnTorch": _plain,
    }
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in loops}
    absent: dict[str, str] = {}
    for number in range(rounds):
        chosen = used[number * recordings : (number + 1) * recordings]
        for name, loop in loops.items():
            try:
                found[name].append(loop(chosen))
            except RuntimeError as error:
                if name == OURS:
                    raise
                absent[name] = str(error)
    whole = {name: np.concatenate(parts) for name, parts in found.items() if len(parts) == rounds}
    p50 = {name: _percentiles(found[name], 50) for name in whole}
    p99 = {name: _percentiles(found[name], 99) for name in whole}
    rows = [
        [name, spread(p50[name], 0), spread(p99[name], 0), f"{values.max():,.0f}"]
        for name, values in whole.items()
    ]
    rows += [[name, f"not measured: {why}", "", ""] for name, why in absent.items()]
    ratios = {
        f"{label}, {OURS} to {name}": ratio_of(times[name], times[OURS])
        for label, times in (("p50", p50), ("p99", p99))
        for name in whole
        if name != OURS
    }
    text = TEXT.format(
        recordings=recordings,
        rounds=rounds,
        bins=len(whole[OURS]),
        ours=OURS,
    )
    table = Table("Bin closed to decision received", ["loop", "p50, us", "p99, us", "most"], rows)
    picture = distributions(
        folder / "performance-latency.png",
        {name: values.tolist() for name, values in whole.items()},
        "us from the bin's closing to the decision",
    )
    return Part("End to end", text, [table], ratios, [picture])


def _percentiles(parts: list[NDArray[np.float64]], percent: float) -> NDArray[np.float64]:
    return np.array([np.percentile(part, percent) for part in parts])


def _retempo(paths: list[Path]) -> NDArray[np.float64]:
    with scratch() as folder:
        lines = [f'model = "{MODEL}"\ndt = "1ms"']
        paces, arrivals = folder / "paces", folder / "arrivals"
        with (
            daemon(folder, lines) as served,
            ready_role("listen", served.decisions, str(arrivals), str(len(paths))) as listener,
            role("publish", served.feed, str(paces), *map(str, paths)) as publisher,
        ):
            finished(publisher, 120.0)
            finished(listener, 30.0)
        return _latencies(load(paces), load(arrivals))


def _eventcv(paths: list[Path]) -> NDArray[np.float64]:
    own = load_step(MODEL)
    network, resolution = network_of(own), own.resolution(1_000, "integral")
    at_1_ms = parse_step(build_step(network, resolution).SerializeToString(), "1ms.onnx")
    write = next(known.write for known in FORMATS if known.name == "DAT")
    assert write is not None
    with scratch() as folder:
        (folder / "bare.onnx").write_bytes(bare_graph(at_1_ms))
        copies = [folder / f"{path.stem}.dat" for path in paths]
        for path, copy in zip(paths, copies, strict=True):
            source = open_recording(path)
            write(copy, source.geometry, iter(source))
        out = folder / "out"
        with role("eventcv", str(folder / "bare.onnx"), str(out), *map(str, copies)) as process:
            finished(process, 120.0)
        paces, arrivals = load(out)  # type: ignore[misc]
        return _latencies(paces, arrivals)


def _plain(paths: list[Path]) -> NDArray[np.float64]:
    with scratch() as folder:
        feed, decisions = f"ipc://{folder}/feed", f"ipc://{folder}/decisions"
        paces, arrivals = folder / "paces", folder / "arrivals"
        with (
            ready_role("plain-loop", feed, decisions) as loop,
            ready_role("plain-listen", decisions, str(arrivals)) as listener,
            role("plain-publish", feed, str(paces), *map(str, paths)) as publisher,
        ):
            for process in (publisher, loop, listener):
                finished(process, 120.0)
        return _latencies(load(paces), load(arrivals))


def _latencies(paces: object, arrivals: object) -> NDArray[np.float64]:
    assert isinstance(paces, dict)
    assert isinstance(arrivals, list)
    typed: dict[str, Pace] = paces
    rows: list[Arrival] = arrivals
    return latencies_us(typed, rows)
