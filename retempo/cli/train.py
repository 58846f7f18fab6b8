"""`retempo train`: a preset and labelled recordings become a run."""

from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.options import Json, print_json

EXAMPLE = "Example: retempo train configs/nmnist-radlif.toml --data recordings --out runs/nmnist"


def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="A preset.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="The folder to leave the run in.")],
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Recordings, instead of the preset's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Instead of the preset's.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    json: Json = False,
) -> None:
    """Train a network on labelled recordings; needs the train extra (torch)."""
    from retempo.training.config import load_train_config
    from retempo.training.errors import TrainingError

    settings = load_train_config(config)
    try:
        from retempo.training.fit import train
    except ModuleNotFoundError as error:
        raise TrainingError(
            f"training needs {error.name}; install it with pip install 'retempo[train]'"
        ) from error
    report = train(settings, out, data=data, seed=seed, quiet=quiet)
    if json:
        print_json(report)
    else:
        held_out = report.held_out_accuracy
        typer.echo(
            f"{out}: {report.epochs} epochs on {report.recordings:,} recordings in "
            f"{report.wall_s:.0f} s, training accuracy {report.train_accuracy:.1%}"
            + ("" if held_out is None else f", held-out accuracy {held_out:.1%}")
        )
