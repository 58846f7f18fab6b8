"""`retempo evaluate`: accuracy of a run by method and time step."""

from pathlib import Path
from typing import Annotated

import typer

from retempo.cli.counts import tell_problems
from retempo.cli.options import (
    EngineName,
    FilterTexts,
    Json,
    Normalisation,
    OnDamage,
    Sensor,
    Unlabelled,
    dt_of,
    filters_of,
    geometry_of,
    print_json,
)

EXAMPLE = (
    "Example: retempo evaluate runs/nmnist --data recordings/test "
    "--dt 10ms 5ms 1ms --method none tau euler integral lag --plot accuracy.png"
)


def run(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder made by retempo train.")],
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Labelled recordings.")],
    dt: Annotated[
        list[str] | None, typer.Option(metavar="DURATION...", help="Time steps; the run's own.")
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(metavar="METHOD...", help="Methods; all if left out.")
    ] = None,
    kind: Annotated[
        str,
        typer.Option(metavar="KIND", help="folder, fsdd, nmnist, shd, simulated-digits or words."),
    ] = "folder",
    normalisation: Normalisation = None,
    unlabelled: Unlabelled = None,
    input_adaptation: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            help="Bins made to fit the run's own step: repeat or pad_zeros from coarser ones, sum, "
            "binary, max or mean from finer ones. Beside the methods named, or alone.",
        ),
    ] = None,
    sensor_dt: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Bins as the sensor gives them; those of every --dt are made of them by "
            "--input-adaptation, and the network is adapted to --dt.",
        ),
    ] = None,
    filter: FilterTexts = None,  # noqa: A002  (the option's name)
    batch: Annotated[
        int, typer.Option(min=1, help="Recordings stepped together; 1 decides exactly as replay.")
    ] = 1,
    engine: EngineName = "auto",
    plot: Annotated[Path | None, typer.Option(metavar="F.png", help="Draw a picture.")] = None,
    policy: OnDamage = "raise",
    geometry: Sensor = None,
    json: Json = False,
) -> None:
    """Measure accuracy on labelled recordings, at any time step by any method."""
    from retempo.cli.unlabelled import open_unlabelled
    from retempo.exporters.adaptation import METHODS, method_named
    from retempo.exporters.network import load_network
    from retempo.runtime.layout import check_geometry
    from retempo.runtime.units import format_duration, parse_dt_us
    from retempo.sensors.filters import Chain, geometry_after
    from retempo.training.accuracy_plot import draw_accuracy, writable
    from retempo.training.datasets import open_dataset, open_folder
    from retempo.training.errors import TrainingError
    from retempo.training.evaluation import evaluate, model_of
    from retempo.training.history import ear_of, request_for_test

    network = load_network(run)
    dts_us = [parse_dt_us(text) for text in dt or []] or [network.spec.source_dt_us]
    sensor_dt_us = dt_of(sensor_dt)
    unnamed = METHODS if input_adaptation is None or sensor_dt else ()
    methods = [method_named(name).name for name in method or unnamed]
    if plot is not None:
        writable(plot)
    model = model_of(network, str(run))
    ear = ear_of(run, network.spec.input)
    labels = network.spec.labels
    if kind == "folder":
        sensor = geometry_of(geometry)
        dataset = open_folder(data, labels, ear, geometry=sensor, policy=policy)
    else:
        if policy != "raise" or geometry is not None:
            raise typer.BadParameter(
                f"--policy and --geometry are for --kind folder; {kind} has files of its own"
            )
        dataset = open_dataset(kind, request_for_test(run, data, labels, network.spec.input))
    filters = filters_of(filter)
    filtered = geometry_after(filters, dataset.geometry)
    check_geometry(network.spec.input, filtered, str(data), str(run))
    measured_by = open_unlabelled(
        unlabelled, normalisation, network.spec.input, str(run), ear, filters
    )
    recordings = [dataset[index] for index in range(len(dataset))]
    for recording in recordings:
        tell_problems(data / recording.name, recording.events.problems)
    results = evaluate(
        model,
        [Chain.start(filters, dataset.geometry).apply(each.events) for each in recordings],
        [dataset.labels[recording.label] for recording in recordings],
        dts_us,
        methods,
        normalisation=normalisation,
        unlabelled=measured_by,
        input_adaptation=input_adaptation,
        sensor_dt_us=sensor_dt_us,
        batch=batch,
        engine_name=engine,
        on_result=lambda r: typer.echo(
            f"{format_duration(r.dt_us)} {r.method}: " + (r.reason or f"{r.percent:.1f} %"),
            err=True,
        ),
    )
    if plot is not None:
        draw_accuracy(results, network.spec.source_dt_us, plot)
    if json:
        names = [recording.name for recording in recordings]
        print_json(
            {
                "run": str(run),
                "data": str(data),
                "source_dt_us": network.spec.source_dt_us,
                "recordings": names,
                "results": [
                    {
                        "dt_us": r.dt_us,
                        "method": r.method,
                        "accuracy": None if r.reason else r.percent,
                        "correct": r.correct,
                        "total": r.total,
                        "decided": r.decided,
                        "reason": r.reason or None,
                    }
                    for r in results
                ],
            }
        )
    else:
        from retempo.cli.tables import accuracy_table

        typer.echo(accuracy_table(results, network.spec.source_dt_us))
    if all(r.reason for r in results):
        raise TrainingError(f"no method fits: {results[0].reason}")
