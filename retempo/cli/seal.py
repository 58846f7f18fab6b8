"""`retempo seal`: write the manifest of a model beside it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.options import Json, print_json

EXAMPLE = "Example: retempo seal model.onnx"


def run(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx")],
    json: Json = False,
) -> None:
    """Write what a model's bytes are into MODEL.onnx.sha256.json; a daemon refuses others.

    retempo export does so by itself.
    """
    import retempo
    from retempo.exporters.step_model import load_step, seal_step

    step = load_step(model)
    path = seal_step(model, step, retempo.__version__, datetime.now(UTC))
    if json:
        print_json({"model": str(model), "manifest": str(path), "sha256": step.sha256})
    else:
        typer.echo(f"{path}: {len(step.content):,} bytes, SHA-256 {step.sha256}")
