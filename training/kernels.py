"""A layer's dynamics over packed recordings, forwards and backwards, compiled.

Their twin is `retempo.training.dynamics.run_plainly` with autograd. Spikes are rare, so recurrence
adds and follows only the rows that fired. One thread: at these sizes a second one gains a quarter
on an idle machine and loses all of it on a busy one.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from retempo.exporters.neurons.general import Upswing

Floats = NDArray[np.float32]
Offsets = NDArray[np.int64]

Kernel = Callable[..., Any]
_FAST = {"contract", "reassoc", "nsz"}


@cache
def kernels_of(upswing: Upswing | None) -> tuple[Kernel, Kernel]:
    """Return the pass forwards and the pass backwards of neurons with that upswing, or of linear.

    The linear ones know nothing of an upswing, not even a branch: `nonlinear` is a constant when
    they are compiled. Only they are kept on disk, since the compiler does not see when another
    file's formula changes; others take some seconds at the first step of a training.
    """
    nonlinear = upswing is not None
    value: Any = None
    slope_of: Any = None
    if upswing is not None:
        value, slope_of = (njit(inline="always")(f) for f in (upswing.value, upswing.slope))

    @njit(cache=not nonlinear, nogil=True, fastmath=_FAST)
    def forwards(
        threshold: float,
        A: Floats,
        R: Floats,
        F: Floats,
        G: Floats,
        N: Floats,
        V: Floats,
        current: Floats,
        offsets: Offsets,
        v: Floats,
        spikes: Floats,
        heard: Floats,
        raised: Floats,
    ) -> Any:  # pragma: no cover - compiled
        """Fill `v`, `spikes`, `heard` and `raised` from `current`; see `run` for what they mean.

        Shapes: `V` `(neurons, neurons)`, `N` as R, or each `(0, 0)`; `current` and `spikes`
        `(steps, neurons)`; `v` `(variables, steps, neurons)`; `heard`, what came over V, and
        `raised`, phi of the step before, `(steps, neurons)`, zeros, or `(0, neurons)`.
        """
        variables, neurons = A.shape[0], A.shape[2]
        recurrent = V.shape[0] > 0
        limit = np.float32(threshold)
        for recording in range(len(offsets) - 1):
            for k in range(offsets[recording], offsets[recording + 1]):
                first = k == offsets[recording]
                if recurrent and not first:
                    for j in range(neurons):
                        if spikes[k - 1, j] > 0:
                            for n in range(neurons):
                                heard[k, n] += V[j, n]
                if nonlinear and not first:
                    for n in range(neurons):
                        x = min(max(v[0, k - 1, n], np.float32(0.0)), limit)
                        raised[k, n] = np.float32(value(x))
                for i in range(variables):
                    for n in range(neurons):
                        v[i, k, n] = F[i, n] * current[k, n]
                    if not first:
                        for n in range(neurons):
                            v[i, k, n] += R[i, n] * spikes[k - 1, n]
                        for j in range(variables):
                            for n in range(neurons):
                                v[i, k, n] += A[i, j, n] * v[j, k - 1, n]
                        if nonlinear:
                            for n in range(neurons):
                                v[i, k, n] += N[i, n] * raised[k, n]
                    if recurrent:
                        for n in range(neurons):
                            v[i, k, n] += G[i, n] * heard[k, n]
                for n in range(neurons):
                    spikes[k, n] = np.float32(v[0, k, n] > limit)

    @njit(cache=not nonlinear, nogil=True, fastmath=_FAST)
    def backwards(
        threshold: float,
        width: float,
        height: float,
        A: Floats,
        R: Floats,
        F: Floats,
        G: Floats,
        N: Floats,
        V: Floats,
        current: Floats,
        offsets: Offsets,
        v: Floats,
        spikes: Floats,
        heard: Floats,
        raised: Floats,
        upstream: Floats,
        to_current: Floats,
        to_heard: Floats,
        to_A: Floats,
        to_R: Floats,
        to_F: Floats,
        to_G: Floats,
        to_N: Floats,
    ) -> Any:  # pragma: no cover - compiled
        """Carry the gradient of what the layer gave, `upstream`, back through all steps.

        With `g` the gradient of `v[k]` and `h` that of the spikes of step `k`,

            h = upstream + R g' + V (G g')                         (g' of step k + 1)
            g = A^T g' + [slope(v_0) h + phi'(v_0) (N g'), 0, ...]

        A threshold of inf is a readout: `upstream` is then the gradient of `v_0` itself.

        Shapes: `to_A` to `to_N` as A to N, zeros at first; `to_current` and `to_heard` as `current`
        and `heard`. The others as in the forward pass.
        """
        variables, neurons = A.shape[0], A.shape[2]
        recurrent = V.shape[0] > 0
        spiking = threshold < np.inf
        pull = np.zeros(neurons if nonlinear else 0, np.float32)
        limit, half, slope = np.float32(threshold), np.float32(width / 2), np.float32(height)
        for recording in range(len(offsets) - 1):
            begin, end = offsets[recording], offsets[recording + 1]
            after = np.zeros((variables, neurons), np.float32)
            now = np.zeros((variables, neurons), np.float32)
            for k in range(end - 1, begin - 1, -1):
                for i in range(variables):
                    for n in range(neurons):
                        now[i, n] = np.float32(0.0)
                    for j in range(variables):
                        for n in range(neurons):
                            now[i, n] += A[j, i, n] * after[j, n]
                if nonlinear:
                    for n in range(neurons):
                        pull[n] = np.float32(0.0)
                    for i in range(variables):
                        for n in range(neurons):
                            pull[n] += N[i, n] * after[i, n]
                    for n in range(neurons):
                        x = v[0, k, n]
                        if x > 0 and x < limit:
                            now[0, n] += np.float32(slope_of(x)) * pull[n]
                if not spiking:
                    for n in range(neurons):
                        now[0, n] += upstream[k, n]
                else:
                    for n in range(neurons):
                        if abs(v[0, k, n] - limit) <= half:
                            fired = upstream[k, n]
                            for i in range(variables):
                                fired += R[i, n] * after[i, n]
                            if recurrent and k + 1 < end:
                                for m in range(neurons):
                                    fired += V[n, m] * to_heard[k + 1, m]
                            now[0, n] += slope * fired
                for n in range(neurons):
                    to_current[k, n] = np.float32(0.0)
                for i in range(variables):
                    for n in range(neurons):
                        to_current[k, n] += F[i, n] * now[i, n]
                        to_F[i, n] += now[i, n] * current[k, n]
                    if recurrent:
                        for n in range(neurons):
                            to_heard[k, n] += G[i, n] * now[i, n]
                            to_G[i, n] += now[i, n] * heard[k, n]
                    if k > begin:
                        for n in range(neurons):
                            to_R[i, n] += now[i, n] * spikes[k - 1, n]
                        for j in range(variables):
                            for n in range(neurons):
                                to_A[i, j, n] += now[i, n] * v[j, k - 1, n]
                        if nonlinear:
                            for n in range(neurons):
                                to_N[i, n] += now[i, n] * raised[k, n]
                after, now = now, after

    return forwards, backwards
