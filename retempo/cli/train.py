"""`retempo train`: a preset and labelled recordings become a run."""

from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.options import Json, MethodName, print_json

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
    then_adapt: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Then adapt to this time step, train at it as well, and compare.",
        ),
    ] = None,
    method: MethodName = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
    json: Json = False,
) -> None:
    """Train a network on labelled recordings; needs the train extra (torch).

    With --then-adapt the adapted model.onnx is left in RUN, and accuracy and wall time are put
    beside those of a network trained at that time step.
    """
    from retempo.runtime.units import parse_dt_us
    from retempo.training.config import load_train_config
    from retempo.training.errors import TrainingError

    settings = load_train_config(config)
    target_dt_us = None if then_adapt is None else parse_dt_us(then_adapt)
    if method is not None and target_dt_us is None:
        raise TrainingError("--method goes with --then-adapt")
    try:
        from retempo.training.fit import train
        from retempo.training.then_adapt import train_then_adapt
    except ModuleNotFoundError as error:
        raise TrainingError(
            f"training needs {error.name}; install it with pip install 'retempo[train]'"
        ) from error
    if target_dt_us is not None:
        comparison = train_then_adapt(
            settings,
            out,
            target_dt_us,
            method=method or "auto",
            data=data,
            seed=seed,
            quiet=quiet,
        )
        if json:
            print_json(comparison)
        else:
            from retempo.cli.tables import comparison_table

            typer.echo(comparison_table(comparison))
        return
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
