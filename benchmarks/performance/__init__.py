"""Speed against rivals, all in one run: see `docs/results/performance.md`."""

import os

# BLAS and OpenMP read these once, when they are first loaded: one thread for everybody.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
