"""`retempo inspect`: the contract that a model carries."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from retempo.cli.options import Json

EXAMPLE = "Example: retempo inspect model.onnx --json"


def run(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx")],
    json: Json = False,
) -> None:
    """Show the time contract of a model; --json prints all of it."""
    from retempo.exporters.connections import describe
    from retempo.exporters.description import connection_of
    from retempo.exporters.step_model import load_step
    from retempo.runtime.hearing import stated_ear
    from retempo.runtime.layout import geometry_of
    from retempo.runtime.units import format_duration
    from retempo.sensors.ears.registry import describe as describe_ear

    step = load_step(model)
    contract = step.contract
    if json:
        typer.echo(msgspec.json.encode(contract).decode())
        return
    network, resolution = contract.network, contract.resolution
    ear = stated_ear(network.input, step.name)
    unit = ""
    if network.input.bin_mode in ("max", "mean"):
        unit = f" in units of {format_duration(network.input.bin_unit_us)}"
    measured = "" if resolution.statistics is None else f" by {resolution.statistics.bins:,} bins"
    rows = {
        "model": f"{model} ({len(step.content):,} bytes, contract version {contract.version})",
        "time step": f"{format_duration(resolution.target_dt_us)}, trained at "
        f"{format_duration(network.source_dt_us)}",
        "adapted by": f"{resolution.method}, normalisation {resolution.normalisation}{measured}, "
        f"lag {resolution.lag:g}, substeps {resolution.substeps}",
        "input": f"{geometry_of(network.input)}, downsample {network.input.downsample}, "
        f"{network.input.bin_mode} of each bin{unit} -> {network.input.size} inputs",
        **({} if ear is None else {"ear": describe_ear(ear)}),
        "layers": ", ".join(
            f"{layer.name} {layer.neuron} {layer.inputs}->{layer.neurons}"
            f"{describe(connection_of(layer))}"
            for layer in network.layers
        ),
        "readout": ", ".join([contract.readout.output, *_tau(contract.readout.tau_us)]),
        "labels": ", ".join(network.labels),
        "state": ", ".join(f"{state.name} {state.shape}" for state in contract.states),
    }
    for name, text in rows.items():
        typer.echo(f"{name:<11} {text}")


def _tau(tau_us: Sequence[float | None]) -> list[str]:
    from retempo.runtime.units import format_duration

    known = [tau for tau in tau_us if tau is not None]
    ends = dict.fromkeys(format_duration(tau) for tau in (min(known), max(known))) if known else {}
    return ["tau " + " to ".join(ends)] if ends else []
