"""Make what the demonstration carries: `python -m retempo.demo.make RUN`.

RUN comes from `retempo train configs/simulated-digits.toml --out RUN`. The recordings are of images
that are not in the training set.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from retempo.demo.assets import MODEL, RECORDINGS
from retempo.exporters.network import load_network
from retempo.exporters.resolution import resolve
from retempo.exporters.step_graph import write_step
from retempo.training.datasets import Request, limited, open_dataset, write_folder

_RECORDINGS = 200


def main(run: Path) -> None:
    """Write the model at its own 10 ms, and the recordings of test images."""
    network = load_network(run)
    resolution = resolve(network.spec, network.spec.source_dt_us, "lag")
    write_step(network, resolution, MODEL)
    dataset = open_dataset("simulated-digits", Request(split="test"))
    with tempfile.TemporaryDirectory(dir=RECORDINGS.parent) as folder:
        write_folder(limited(dataset, _RECORDINGS), Path(folder) / "new")
        shutil.rmtree(RECORDINGS, ignore_errors=True)
        (Path(folder) / "new").rename(RECORDINGS)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m retempo.demo.make RUN")
    main(Path(sys.argv[1]))
