"""Sums of weight rows over what is active: the event-driven `W in` and `V s`."""

import numpy as np
from numpy.typing import NDArray

from retempo.runtime.bits import ONE, WORD, lowest, other_than_0
from retempo.runtime.engines.sparse.compiling import part
from retempo.runtime.engines.sparse.program import (
    CHANNELS_OUT,
    COLUMNS_IN,
    COLUMNS_OUT,
    GRID_COLUMNS,
    GRID_ROWS,
    KERNEL,
    PADDING,
    POOL,
    POOL_MAX,
    ROWS_IN,
    ROWS_OUT,
    STRIDE,
    Floats,
    Table,
)

Index = NDArray[np.int32]

# Part of `entry`, which alone is kept: see `ahead`.
jit = part()
inline = part(forceinline=True)


@jit
def find_active(x: Floats, active: Index, loads: Floats) -> int:  # pragma: no cover - compiled
    """List the inputs that are not 0 and what they carry; returns how many.

    `x` is padded to whole words of `bits`.
    """
    found = 0
    for begin in range(0, x.shape[0], WORD):
        word = other_than_0(x, begin)
        while word:
            i = begin + np.int64(lowest(word))
            active[found], loads[found] = i, x[i]
            found += 1
            word &= word - ONE
    return found


@jit
def add_rows(W: Floats, rows: Index, out: Floats) -> None:  # pragma: no cover - compiled
    """Add some rows of a matrix, four at a time: `out` is then loaded and stored as seldom.

    `W` is flat, its rows as long as `out`.
    """
    n = out.shape[0]
    whole = len(rows) // 4 * 4
    for k in range(0, whole, 4):
        at, bt = np.int64(rows[k]) * n, np.int64(rows[k + 1]) * n
        ct, dt = np.int64(rows[k + 2]) * n, np.int64(rows[k + 3]) * n
        a, b, c, d = W[at : at + n], W[bt : bt + n], W[ct : ct + n], W[dt : dt + n]
        for m in range(n):
            out[m] += (a[m] + b[m]) + (c[m] + d[m])
    for k in range(whole, len(rows)):
        at = np.int64(rows[k]) * n
        a = W[at : at + n]
        for m in range(n):
            out[m] += a[m]


@jit
def add_weighted_rows(
    W: Floats, rows: Index, loads: Floats, out: Floats
) -> None:  # pragma: no cover - compiled
    """Add some rows of a matrix, each as often as `loads` says; see `add_rows`."""
    n = out.shape[0]
    for k in range(len(rows)):
        at, load = np.int64(rows[k]) * n, loads[k]
        a = W[at : at + n]
        for m in range(n):
            out[m] += load * a[m]


@inline
def copy(values: Floats, to: Floats) -> None:  # pragma: no cover - compiled
    """Copy values: an assignment of arrays would ask whether they overlap, and allocate."""
    for m in range(len(values)):
        to[m] = values[m]


@jit
def add_map(
    row: Table, W: Floats, active: Index, loads: Floats, map_: Floats, out: Floats
) -> None:  # pragma: no cover - compiled
    """Scatter the kernel of a convolution round every active input into `out`, one value a neuron.

    `W` is `(channels in, kernel, kernel, channels out)`; `map_` is scratch of zeros.
    """
    channels, rows_out, columns_out = row[CHANNELS_OUT], row[ROWS_OUT], row[COLUMNS_OUT]
    side, stride, padding = row[KERNEL], row[STRIDE], row[PADDING]
    plane = row[ROWS_IN] * row[COLUMNS_IN]
    for k in range(len(active)):
        c, rest = divmod(active[k], plane)
        y, x = divmod(rest, row[COLUMNS_IN])
        for ky in range(side):
            oy, off_y = divmod(y + padding - ky, stride)
            if off_y or oy < 0 or oy >= rows_out:
                continue
            for kx in range(side):
                ox, off_x = divmod(x + padding - kx, stride)
                if off_x or ox < 0 or ox >= columns_out:
                    continue
                from_ = ((c * side + ky) * side + kx) * channels
                to = (oy * columns_out + ox) * channels
                for m in range(channels):
                    map_[to + m] += loads[k] * W[from_ + m]
    points = rows_out * columns_out
    for m in range(channels):
        for p in range(points):
            out[m * points + p] = map_[p * channels + m]
            map_[p * channels + m] = np.float32(0.0)


@jit
def pool(
    row: Table,
    active: Index,
    loads: Floats,
    pooled: Floats,
    pooled_active: Index,
    pooled_loads: Floats,
) -> int:  # pragma: no cover - compiled
    """Pool active inputs into active windows; returns how many. `pooled` is scratch of zeros.

    Inputs are counts and spikes, never below 0, so the inputs that are not listed bound a maximum.
    """
    window = row[POOL]
    rows, columns = row[GRID_ROWS], row[GRID_COLUMNS]
    rows_out, columns_out = rows // window, columns // window
    share = np.float32(1.0) if row[POOL_MAX] else np.float32(1.0 / (window * window))
    found = 0
    for k in range(len(active)):
        c, rest = divmod(active[k], rows * columns)
        y, x = divmod(rest, columns)
        y //= window
        x //= window
        if y >= rows_out or x >= columns_out or loads[k] == np.float32(0.0):
            continue
        to = (c * rows_out + y) * columns_out + x
        if pooled[to] == np.float32(0.0):
            pooled_active[found] = to
            found += 1
        load = share * loads[k]
        if not row[POOL_MAX]:
            pooled[to] += load
        elif not load <= pooled[to]:
            # So written, what is no number wins and is seen.
            pooled[to] = load
    for k in range(found):
        pooled_loads[k] = pooled[pooled_active[k]]
        pooled[pooled_active[k]] = np.float32(0.0)
    return found
