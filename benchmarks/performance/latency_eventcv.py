"""EventCV's loop: windows of 1 ms and a `StatefulModel`, all in one process."""

import time
from pathlib import Path

from benchmarks.performance.paces import Arrival, Pace, closing_s, save, sleep_until

# A recording lasts 0.3 s: a time that is misread must not be replayed for hours.
_MOST_WINDOWS = 5_000


def eventcv_loop(model_path: str, out: str, *paths: str) -> None:
    """Replay recordings; each window is asked for when it is over, and no earlier.

    Its windows begin with the first event of a recording, so that no bin begins before it.
    """
    import eventcv

    model = eventcv.Model(model_path)
    states = [port["name"] for port in model.inputs if port["name"] != "x"]
    stateful = eventcv.StatefulModel(model, {f"{name}_next": name for name in states})
    paces: dict[str, Pace] = {}
    arrivals: list[Arrival] = []
    for path in paths:
        stream = Path(path).stem
        reader = eventcv.open(path, dt_us=1_000, repr="polarity", downsample=2)
        if reader.n_slices > _MOST_WINDOWS:
            raise RuntimeError(f"EventCV takes {stream} for {reader.n_slices:,} windows of 1 ms")
        windows = iter(reader.windows())
        stateful.reset()
        # What the first call of a model does once is not to be seen here.
        stateful(_flat(reader.slice(0)))
        stateful.reset()
        pace = (time.monotonic(), 0, 1_000 * reader.n_slices)
        for number in range(reader.n_slices):
            t_us = 1_000 * (number + 1)
            sleep_until(closing_s(pace, t_us))
            stateful(_flat(next(windows)))
            arrivals.append((stream, t_us, time.monotonic()))
        paces[stream] = pace
    save(out, [paces, arrivals])


def _flat(frame: object) -> object:
    return frame.numpy().reshape(1, -1)  # type: ignore[attr-defined]
