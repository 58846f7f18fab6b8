"""`retempo export`: a run becomes one ONNX step function at a resolution."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.options import (
    Dt,
    Json,
    MethodName,
    Normalisation,
    Unlabelled,
    dt_of,
    print_json,
)

EXAMPLE = "Example: retempo export runs/nmnist --dt 1ms --method lag -o model.onnx"


def run(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder made by retempo train.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="MODEL.onnx")],
    dt: Dt = None,
    method: MethodName = None,
    normalisation: Normalisation = None,
    unlabelled: Unlabelled = None,
    scan: Annotated[
        bool,
        typer.Option(
            "--scan",
            help="Loop the step over time inside the file, for bulk replay by ONNX Runtime alone.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Export a trained network as one ONNX step function at a time resolution."""
    import retempo
    from retempo.cli.unlabelled import open_unlabelled
    from retempo.exporters.adaptation.powers import spectral_radius
    from retempo.exporters.network import load_network
    from retempo.exporters.resolution import note_of, resolve
    from retempo.exporters.scan_graph import write_scan
    from retempo.exporters.step_graph import write_step
    from retempo.exporters.step_model import load_step, seal_step
    from retempo.runtime.measuring import measure
    from retempo.training.history import ear_of

    network = load_network(run)
    source_dt_us = network.spec.source_dt_us
    dt_us = dt_of(dt) or source_dt_us
    # Measuring takes a while: what cannot be resolved by any statistics is said before it.
    resolve(network.spec, dt_us, method or "auto", "none")
    heard_by = ear_of(run, network.spec.input) if unlabelled else None
    recordings = open_unlabelled(unlabelled, normalisation, network.spec.input, str(run), heard_by)
    measured = measure(network, recordings, dt_us) if recordings else None
    resolution = resolve(network.spec, dt_us, method or "auto", normalisation, measured)
    note = note_of(network.spec, resolution)
    growing = {
        layer.name: int((spectral_radius(layer.A) >= 1.0).sum()) for layer in resolution.layers
    }
    (write_scan if scan else write_step)(network, resolution, output)
    # A scan is never served.
    manifest = (
        None
        if scan
        else seal_step(output, load_step(output), retempo.__version__, datetime.now(UTC))
    )
    report = {
        "model": str(output),
        "kind": "scan" if scan else "step",
        "manifest": str(manifest) if manifest else None,
        "bytes": output.stat().st_size,
        "source_dt_us": source_dt_us,
        "target_dt_us": dt_us,
        "method": resolution.method,
        "normalisation": resolution.normalisation,
        "measured_bins": measured.bins if measured else None,
        "note": note,
        "lag": resolution.lag,
        "substeps": resolution.substeps,
        "neurons_with_spectral_radius_of_1_or_more": growing,
    }
    if json:
        print_json(report)
        return
    kind = "a scan, " if scan else ""
    typer.echo(
        f"{output}: {kind}{source_dt_us} us -> {dt_us} us by {resolution.method}, "
        f"normalisation {resolution.normalisation}, lag {resolution.lag:g}, "
        f"substeps {resolution.substeps}, {report['bytes']} bytes"
    )
    if note:
        typer.echo(f"note: {note}")
    for name, count in growing.items():
        if count:
            typer.echo(f"note: {count} neurons of {name} have a spectral radius of 1 or more")
