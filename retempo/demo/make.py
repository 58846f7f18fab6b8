"""Make what the demonstration carries: `python -m retempo.demo.make RUN`.

RUN comes from `retempo train configs/simulated-digits.toml --out RUN`. The recordings are of images
that are not in the training set.
"""

import shutil
import sys
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
    shutil.rmtree(RECORDINGS, ignore_errors=True)
    write_folder(limited(dataset, _RECORDINGS), RECORDINGS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
