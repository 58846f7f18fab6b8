"""Small pictures made of characters."""

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.timeline import resampled

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.:-=+*#"
_BRAILLE = 0x2800
# The bit of each dot of a Braille character, in rows of two.
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_NOISE = 0.15
# Ordered dithering: a dot is set where the value exceeds its threshold.
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])


def sparkline(values: NDArray[np.float64], width: int, bars: str = BARS) -> str:
    """Return a row of bars, one a value, or `width` of them where there are more values.

    The highest bar is the largest value; a bin without any events is blank, so that silence is told
    from little. Shapes: `values` `(bins,)`, none below 0.
    """
    if len(values) == 0:
        return ""
    shown = resampled(values, min(width, len(values)))
    most = shown.max()
    if most <= 0.0:
        return " " * len(shown)
    heights = np.ceil(shown / most * len(bars)).astype(int)
    # Less than a thousandth of an event is what sharing a bin leaves of rounding.
    return "".join(
        bars[max(height, 1) - 1] if value > 1e-3 else " "
        for height, value in zip(heights.tolist(), shown.tolist(), strict=True)
    )


def dot_picture(counts: NDArray[np.int64], width: int, height: int) -> list[str]:
    """Return where events fall as lines of Braille dots, dense where there are many.

    A character holds 2x4 dots, which are about square on a terminal; the picture keeps the sensor's
    shape within `width` x `height` characters. Shapes: `counts` `(rows, columns)`.
    """
    rows, columns = counts.shape
    zoom = min(2 * width / columns, 4 * height / rows)
    wide, high = max(2, round(columns * zoom)), max(4, round(rows * zoom))
    down, across = _edges(rows, high), _edges(columns, wide)
    summed = np.zeros((rows + 1, columns + 1))
    summed[1:, 1:] = np.cumsum(np.cumsum(counts, axis=0, dtype=np.float64), axis=1)
    ends = summed[np.ix_(down[1], across[1])] - summed[np.ix_(down[0], across[1])]
    starts = summed[np.ix_(down[1], across[0])] - summed[np.ix_(down[0], across[0])]
    mean = (ends - starts) / np.outer(down[1] - down[0], across[1] - across[0])
    # A hot pixel must not leave all else dark.
    bright = np.quantile(mean[mean > 0], 0.95) if (mean > 0).any() else 1.0
    lit = np.sqrt(np.minimum(mean / bright, 1.0))
    # Scattered noise would cover the picture with single dots.
    lit = np.maximum(lit - _NOISE, 0.0) / (1.0 - _NOISE)
    lines, cells = -(-high // 4), -(-wide // 2)
    full = np.zeros((4 * lines, 2 * cells))
    full[:high, :wide] = lit
    threshold = np.tile((_BAYER + 0.5) / 16.0, (lines, -(-cells // 2)))[:, : 2 * cells]
    dots = (full > threshold).reshape(lines, 4, cells, 2)
    codes = _BRAILLE + np.einsum("lrcd,rd->lc", dots.astype(np.int64), _DOTS)
    return ["".join(map(chr, line)) for line in codes.tolist()]


def _edges(size: int, parts: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each of some parts of a side begins and ends; a part holds one pixel at least."""
    edges = np.linspace(0.0, size, parts + 1)
    begin = np.minimum(np.floor(edges[:-1] + 1e-9), size - 1).astype(np.int64)
    return begin, np.maximum(np.ceil(edges[1:] - 1e-9).astype(np.int64), begin + 1)
