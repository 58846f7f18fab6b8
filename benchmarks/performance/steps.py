"""The step of a network: engines and rivals, one bin at a time from Python."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.performance import step_engines, step_frameworks, step_torch
from benchmarks.performance.measure import Rounds, Step, built, in_turn, step_sampler
from benchmarks.performance.networks import Setting, drawn, nmnist
from benchmarks.performance.pictures import bars, lines
from benchmarks.performance.results import Part, Ratio, Table, ratio_of, spread


@dataclass(frozen=True, slots=True)
class Contestant:
    """Who steps, how it is made, and how many bins it steps in a call."""

    make: Callable[[Setting], Step]
    bins_a_call: int = 1


SPARSE, LISTS, BLOCK = "sparse, step()", "sparse, run() of 1 bin", "sparse, run() of 100 bins"
ONNX, BOUND, EAGER, SNNTORCH = (
    "retempo onnx, step()",
    "ONNX Runtime, IO binding",
    "torch, eager",
    "snnTorch RLeaky",
)
OURS = (SPARSE, LISTS, BLOCK, ONNX)
ALL: dict[str, Contestant] = {
    SPARSE: Contestant(step_engines.engine_step("sparse")),
    LISTS: Contestant(step_engines.engine_run("sparse", 1)),
    BLOCK: Contestant(step_engines.engine_run("sparse", 100), 100),
    ONNX: Contestant(step_engines.engine_step("onnx")),
    BOUND: Contestant(step_engines.ort_bound),
    "ONNX Runtime, run()": Contestant(step_engines.ort_run),
    "NumPy": Contestant(step_engines.in_numpy),
    "torch.jit": Contestant(step_torch.TRACED),
    "torch.compile": Contestant(step_torch.COMPILED),
    EAGER: Contestant(step_torch.EAGER),
    "Norse LIFRecurrentCell": Contestant(step_frameworks.norse_lif),
    "SpikingJelly LIFNode": Contestant(step_frameworks.spikingjelly_lif),
    SNNTORCH: Contestant(step_frameworks.snntorch_rleaky),
}
# What each ratio must reach, by the rival's name.
TARGETS = {BOUND: 8.0, EAGER: 20.0, SNNTORCH: 60.0}
RATES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
WIDTHS = (64, 128, 256, 512, 1_024)
RECORDINGS = 5
TEXT = """\
140 inputs -> 2 x 512 recurrent adLIF -> 20 labels unless said otherwise, a bin of 1 ms, stepped
from Python one call at a time; `run() of 100 bins` is the one exception, and is divided by 100.
Weights are random; one bias a layer is set by bisection so that the share of the hidden neurons
that fire in a bin is that of the inputs: 5 % asked for, {rates} measured. Medians of a round's
steps in microseconds a bin, then over the rounds, with the 10th to 90th percentile; {rounds} rounds
in turn of {steps} steps each. One thread everywhere.

- `sparse, step()` and `retempo onnx, step()` copy a dense input into the state and step; `run()`
  takes the lists of active inputs that the binning makes.
- ONNX Runtime gets the graph with its coefficients as constants, all optimisations, one thread,
  and by IO binding buffers that are bound once; the input is copied in, as for the engines.
- torch runs the same equations in inference mode on one thread, its inputs made as tensors
  beforehand; jit is traced, frozen and optimised for inference; compile is Inductor with frozen
  weights. NumPy is the same equations with one BLAS thread.
- snnTorch, Norse and SpikingJelly step their own recurrent cells, whose neurons are simpler, in
  inference mode on one thread, their inputs made as tensors beforehand.

Those that step the same network agree on its first 50 outputs within {agreement:.0e}."""


def measure(folder: Path, data: Path, *, quick: bool = False) -> Part:
    """Measure all that steps; `quick` is for the guard."""
    rounds, steps = (9, 60) if quick else (25, 100)
    with step_torch.one_thread():
        base = drawn(512, 0.05)
        timed, absent = _timed(base, ALL, rounds, steps)
        tables = [_table("Batch 1, 5 % spikes", timed, absent)]
        ratios = {
            f"{SPARSE} to {rival}": ratio_of(timed[rival], timed[SPARSE], TARGETS.get(rival))
            for rival in timed
            if rival not in OURS
        }
        ratios[f"{SPARSE} to {ONNX}"] = ratio_of(timed[ONNX], timed[SPARSE])
        for table, found in (_batch(rounds, steps), _real(data, rounds, steps)):
            tables.append(table)
            ratios |= found
        pictures = [bars(folder / "performance-steps.png", timed, OURS, "us a step")]
        scans = [_rates(folder, quick=quick)] + ([] if quick else [_widths(folder)])
        for table, found, picture in scans:
            tables.append(table)
            ratios |= found
            pictures.append(picture)
        text = TEXT.format(
            rates=" and ".join(f"{rate:.1%}" for rate in base.rates),
            rounds=rounds,
            steps=steps,
            agreement=agreement(base),
        )
    return Part("Step", text, tables, ratios, pictures)


def agreement(setting: Setting) -> float:
    """Return how far the outputs of those that step one network lie apart at most."""
    same = (SPARSE, LISTS, ONNX, BOUND, "ONNX Runtime, run()", "NumPy", EAGER)
    outputs = []
    for name in same:
        step = ALL[name].make(setting)
        outputs.append([np.array(step(k), np.float32).reshape(-1) for k in range(50)])
    return float(np.ptp(np.array(outputs), axis=0).max())


def _timed(
    setting: Setting, contestants: Mapping[str, Contestant], rounds: int, steps: int
) -> tuple[Rounds, dict[str, str]]:
    def maker(who: Contestant) -> Callable[[], Callable[[], float]]:
        return lambda: step_sampler(
            who.make(setting), max(3, steps // who.bins_a_call), who.bins_a_call
        )

    samplers, absent = built({name: maker(who) for name, who in contestants.items()})
    return in_turn(samplers, rounds), absent


def _some(*names: str) -> dict[str, Contestant]:
    return {name: ALL[name] for name in names}


def _table(title: str, timed: Rounds, absent: Mapping[str, str], ours: str = SPARSE) -> Table:
    rows = [
        [name, spread(values), f"{np.median(values / timed[ours]):,.1f}"]
        for name, values in timed.items()
    ]
    rows += [[name, f"not measured: {why}", ""] for name, why in absent.items()]
    return Table(title, ["who", "us a bin", f"times as long as `{ours}`"], rows)


def _batch(rounds: int, steps: int) -> tuple[Table, dict[str, Ratio]]:
    setting = drawn(512, 0.05, batch=64)
    timed, absent = _timed(setting, _some(SPARSE, ONNX, BOUND, EAGER), rounds, max(10, steps // 4))
    found = ratio_of(timed[ONNX], timed[SPARSE], 2.0)
    return _table("Batch 64, 5 % spikes", timed, absent), {f"batch 64, {SPARSE} to {ONNX}": found}


def _real(data: Path, rounds: int, steps: int) -> tuple[Table, dict[str, Ratio]]:
    paths = sorted((data / "nmnist" / "test").glob("*.bin"))[:RECORDINGS]
    setting = nmnist(paths, 256, 0.05)
    names = (LISTS, SPARSE, BLOCK, ONNX, BOUND, EAGER)
    timed, absent = _timed(setting, _some(*names), rounds, steps)
    rates = " and ".join(f"{rate:.1%}" for rate in setting.rates)
    title = (
        f"2312 -> 2 x 256 -> 10 on {len(paths)} N-MNIST recordings, {len(setting.x):,} bins of "
        f"1 ms, {(setting.x != 0).mean():.2%} of the inputs and {rates} of the neurons active"
    )
    found = ratio_of(timed[BOUND], timed[LISTS], 15.0)
    return _table(title, timed, absent, LISTS), {f"N-MNIST, {LISTS} to {BOUND}": found}


def _rates(folder: Path, *, quick: bool) -> tuple[Table, dict[str, Ratio], str]:
    names, rows, ratios = (SPARSE, LISTS, ONNX, BOUND), [], {}
    curves: dict[str, list[float]] = {name: [] for name in names}
    for rate in (0.4,) if quick else RATES:
        setting = drawn(512, rate, input_rate=rate)
        timed, _ = _timed(setting, _some(*names), 9, 60)
        for name in names:
            curves[name].append(float(np.median(timed[name])))
        ratio = ratio_of(timed[ONNX], timed[SPARSE], 1.0 if rate == 0.4 else None)
        ratios[f"{rate:.0%} spikes, {SPARSE} to {ONNX}"] = ratio
        measured = " and ".join(f"{each:.1%}" for each in setting.rates)
        rows.append([f"{rate:.0%}", measured, *(spread(timed[name]) for name in names)])
    table = Table("Spike rate", ["inputs", "hidden", *(f"{name}, us" for name in names)], rows)
    if quick:
        return table, ratios, ""
    x = [100 * rate for rate in RATES]
    axes = ("% of inputs and hidden neurons that spike in a bin", "us a step")
    return table, ratios, lines(folder / "performance-rates.png", x, curves, axes)


def _widths(folder: Path) -> tuple[Table, dict[str, Ratio], str]:
    names, rows, ratios = (SPARSE, ONNX, BOUND, EAGER, SNNTORCH), [], {}
    curves: dict[str, list[float]] = {name: [] for name in names}
    for width in WIDTHS:
        timed, _ = _timed(drawn(width, 0.05), _some(*names), 9, 60)
        for name in names:
            curves[name].append(float(np.median(timed[name])))
        ratios[f"2 x {width}, {SPARSE} to {BOUND}"] = ratio_of(timed[BOUND], timed[SPARSE])
        rows.append([f"2 x {width}", *(spread(timed[name]) for name in names)])
    table = Table("Width, 5 % spikes", ["hidden", *(f"{name}, us" for name in names)], rows)
    x, axes = [float(width) for width in WIDTHS], ("neurons a hidden layer", "us a step")
    path = folder / "performance-widths.png"
    return table, ratios, lines(path, x, curves, axes, logarithmic=True)
