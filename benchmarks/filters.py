"""Filters against those of EventCV, dv-processing, faery and evlib, in one process.

    python -m benchmarks.filters [RECORDING [REPEATS]]

The recording is repeated, each time later, so that its columns do not stay in a cache. All get it
in chunks of 65,536 events, as live, but for EventCV's filters that need a state, and evlib's: they
keep none from call to call, so they get it as one. What a rival needs to hold events its own way
is made before the clock starts. A rival that is not installed is left out.
"""

import datetime
import platform
import sys
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from benchmarks.filter_rivals import Run, Stream, dv, eventcv, eventcv_whole, evlib, faery
from retempo.sensors.collect import read_all
from retempo.sensors.files import open_recording
from retempo.sensors.filters import Chain, Filter, parse_filter
from retempo.sensors.filters.hot_pixels import HotPixels
from retempo.sensors.geometry import GridGeometry

RECORDING = "../shared/data/recordings/evt3.raw"
REPEATS, ROUNDS, CHUNK_EVENTS = 8, 7, 65_536
PACKAGES = ("eventcv", "dv-processing", "faery", "evlib")


def ours(*filters: Filter) -> Run:
    def run(stream: Stream) -> int:
        chain = Chain.start(filters, stream.geometry)
        return sum(len(chain.apply(chunk)) for chunk in stream.chunks)

    return run


def rows(stream: Stream) -> list[tuple[str, Run, dict[str, Run]]]:
    """Each filter of ours and those of others that do the same."""
    g = stream.geometry
    x, y, w, h = g.width // 4, g.height // 4, g.width // 2, g.height // 2
    mask = np.random.default_rng(0).random((g.height, g.width)) < 0.001
    pixels = tuple((int(column), int(row)) for row, column in np.argwhere(mask))

    def parsed(text: str) -> tuple[str, Run]:
        return text, ours(parse_filter(text))

    return [
        (
            *parsed(f"crop={x},{y},{w}x{h}"),
            {
                "eventcv": eventcv(lambda s: s.crop(x, y, w, h)),
                "dv-processing": dv(lambda d, _: d.EventRegionFilter((x, y, w, h))),
                "faery": faery(lambda s: s.crop(x, x + w, y, y + h)),
            },
        ),
        (*parsed("downsample=4"), {"eventcv": eventcv(lambda s: s.scale(0.25, 0.25))}),
        (
            *parsed("flip=x"),
            {
                "eventcv": eventcv(lambda s: s.flip_x()),
                "faery": faery(lambda s: s.transpose("flip_left_right")),
            },
        ),
        (*parsed("rotate=90"), {"eventcv": eventcv(lambda s: s.rotate90(1))}),
        (
            *parsed("polarity=on"),
            {
                "eventcv": eventcv(lambda s: s.filter_polarity(True)),
                "dv-processing": dv(lambda d, _: d.EventPolarityFilter(True)),
                "faery": faery(lambda s: s.remove_off_events()),
            },
        ),
        (*parsed("merge-polarity"), {}),
        (
            "hot-pixels, given",
            ours(HotPixels(pixels)),
            {
                "dv-processing": dv(lambda d, _: d.EventMaskFilter((~mask).astype(np.uint8))),
                "faery": faery(lambda s: s.mask(~mask)),
            },
        ),
        (
            "hot-pixels, learned",
            ours(HotPixels()),
            {"eventcv": eventcv_whole(lambda s: s.hot_pixel_filter())},
        ),
        (
            *parsed("refractory=1ms"),
            {"eventcv": eventcv_whole(lambda s: s.refractory_filter(1_000)), "evlib": evlib},
        ),
        (
            *parsed("background=5ms"),
            {
                "eventcv": eventcv_whole(lambda s: s.background_activity_filter(5_000)),
                # It asks for less than its duration, where others ask for no more.
                "dv-processing": dv(
                    lambda d, s: d.noise.BackgroundActivityNoiseFilter(
                        (s.geometry.width, s.geometry.height),
                        datetime.timedelta(microseconds=5_001),
                    )
                ),
            },
        ),
        (*parsed("rate-cap=1e5"), {}),
    ]


def repeated(path: Path, times: int) -> Stream:
    """A recording `times` times in a row."""
    source = open_recording(path)
    assert isinstance(source.geometry, GridGeometry)
    events = read_all(source)
    span_us = int(events.t_us.max() - events.t_us.min()) + 1
    chunks = []
    for turn in range(times):
        for at in range(0, len(events), CHUNK_EVENTS):
            part = slice(at, at + CHUNK_EVENTS)
            columns = {n: getattr(events, n)[part].copy() for n in ("x", "y", "on")}
            t_us = events.t_us[part] + turn * span_us
            chunks.append(replace(events, t_us=t_us, t_end_us=int(t_us[-1]), **columns))
    return Stream(source.geometry, chunks)


def _seconds(run: Run, stream: Stream) -> tuple[float, int]:
    began = time.process_time()
    kept = run(stream)
    return time.process_time() - began, kept


def measure(name: str, mine: Run, rivals: dict[str, Run], stream: Stream) -> None:
    """Print a row for each rival, all timed in turn."""
    runs = {"": mine, **rivals}
    for run in runs.values():
        run(stream)
    rounds = [{who: _seconds(run, stream) for who, run in runs.items()} for _ in range(ROUNDS)]
    own = np.array([each[""][0] for each in rounds])
    kept = rounds[0][""][1]
    speed = f"{stream.events / np.median(own) / 1e6:,.0f}"
    if not rivals:
        print(f"| `{name}` | {speed} | - | | | {kept / stream.events:.1%} |", flush=True)
    for who in rivals:
        theirs = np.array([each[who][0] for each in rounds])
        ratio = theirs / own
        print(
            f"| `{name}` | {speed} | {who} | {stream.events / np.median(theirs) / 1e6:,.1f} "
            f"| {np.median(ratio):.1f} ({ratio.min():.1f} to {ratio.max():.1f}) "
            f"| {kept / stream.events:.1%} / {rounds[0][who][1] / stream.events:.1%} |",
            flush=True,
        )


def main() -> None:
    """Measure every filter."""
    given = sys.argv[1:]
    stream = repeated(
        Path(given[0] if given else RECORDING), int(given[1]) if given[1:] else REPEATS
    )
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    print(
        "# The speed of filters\n\n"
        "    python -m benchmarks.filters [RECORDING [REPEATS]]\n\n"
        f"Millions of events a second of processor time, medians of {ROUNDS} rounds in turn in one "
        "process, one\nthread each; evlib takes more, whose times add up. "
        f"{Path(given[0] if given else RECORDING).name} ({stream.geometry}) repeated to\n"
        f"{stream.events:,} events, in chunks of {CHUNK_EVENTS:,}; whole for the last filters of "
        "EventCV and for evlib,\nwhich keep no state between calls. The ratio is the median over "
        "rounds (least to most); the\nlast column is the share of events kept, Retempo's / the "
        "rival's.\n"
        f"{', '.join(f'{name} {number}' for name, number in installed.items())}, "
        f"numba {version('numba')}, numpy {np.__version__},\n{platform.machine()}.\n\n"
        "| filter | Retempo | rival | rival's | ratio | kept |\n|---|---|---|---|---|---|"
    )
    for name, mine, rivals in rows(stream):
        measure(name, mine, {w: r for w, r in rivals.items() if w in installed}, stream)
    span_s = (stream.columns["t_us"][-1] - stream.columns["t_us"][0]) / 1e6
    print(
        "\nNo rival has a cap of the rate in event time, or merges polarities. EventCV finds hot "
        "pixels once,\nin the whole recording, beyond three standard deviations of the mean; "
        "Retempo anew in each second\nof event time, of which this stream has "
        f"{span_s:,.0f}, at {stream.events / span_s:,.0f} events each: most of the time goes "
        "there, and\nlittle of it where more events come a second. evlib's refractory period "
        "starts again at each event that\nit removes. Filters that change no column but "
        "addresses hand the others on as they are; `crop`,\n`polarity` and those behind them "
        "move 13 bytes an event."
    )


if __name__ == "__main__":
    main()
