"""What adapting costs, against training at the target."""

from benchmarks.adaptation.rows import Found, grouped
from benchmarks.adaptation.settings import PRESETS
from benchmarks.adaptation.studies.study import Study
from benchmarks.adaptation.tables import markdown
from retempo.runtime.units import format_duration
from retempo.training.config import load_train_config


def cost_page(study: Study, found: Found, command: str) -> str:
    """Return the page: milliseconds of `resolve` against seconds of training."""
    epochs = {
        train.data.name: load_train_config(PRESETS / train.data.preset).fit.epochs
        for train in found.trained
    }
    rows = []
    for (data, dt_us, way), results in grouped(
        found.results, lambda r: (r.data, r.dt_us, r.way)
    ).items():
        result = results[0]
        if result.reason or not result.epochs:
            continue
        training_s = result.training_s / result.epochs * epochs.get(data, result.epochs)
        rows.append([
            data, format_duration(dt_us), way, f"{result.adapt_ms:.2f}", f"{training_s:,.0f}",
            f"{1e3 * training_s / result.adapt_ms:,.0f}",
        ])  # fmt: skip
    heads = ("data", "adapted to", "way", "adapting (ms)", "training at 10 ms (s)", "ratio")
    return f"""# {study.title}

    {command}

{study.question}

RadLIF of 2x512, trained at 10 ms. Adapting is `exporters.resolution.resolve`, all layers, on one
core, the median of 15 runs. Training is the time of {found.results[0].epochs} epochs of the preset
on one core, multiplied up to all of its epochs; at a finer time step it takes about as many times
longer as the step is finer.

{markdown(heads, rows)}
"""
