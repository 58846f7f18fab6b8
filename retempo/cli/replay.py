"""`retempo replay`: recorded files through the pipeline of the daemon."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from retempo.cli import replay_journal
from retempo.cli.counts import tell_problems
from retempo.cli.ear import EarText, ear_of_option
from retempo.cli.leaps import leaps_told
from retempo.cli.options import (
    Dt,
    EngineName,
    FilterTexts,
    Json,
    MethodName,
    Model,
    Normalisation,
    OnDamage,
    Sensor,
    Speed,
    dt_of,
    filters_of,
    geometry_of,
    print_json,
    speed_of,
)

EXAMPLE = "Example: retempo replay recordings/*.bin --model model.onnx --dt 2.5ms --json"


def run(
    model: Model,
    recordings: Annotated[list[Path] | None, typer.Argument(metavar="RECORDING...")] = None,
    dt: Dt = None,
    method: MethodName = None,
    normalisation: Normalisation = None,
    engine: EngineName = "auto",
    speed: Speed = "max",
    filter: FilterTexts = None,  # noqa: A002  (the option's name)
    policy: OnDamage = "raise",
    geometry: Sensor = None,
    ear: EarText = None,
    journal: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Do again what a daemon did: its [journal] folder."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Fail unless the journal gives these decisions (JSON)."),
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the journal's decisions, a line of JSON each."),
    ] = None,
    json: Json = False,
) -> None:
    """Decide recorded event files, one line a recording, or a daemon's journal, one a stream."""
    from retempo.exporters.step_model import load_step
    from retempo.runtime.deployment import deploy
    from retempo.runtime.engines import load_engine
    from retempo.runtime.hearing import agreed_ear, note_of_hearing
    from retempo.runtime.pacing import paced
    from retempo.runtime.replay import ReplayResult, replay
    from retempo.runtime.units import format_duration
    from retempo.sensors.files import open_recording
    from retempo.sensors.tally import Tallied

    if journal is not None:
        options = {"RECORDING": recordings, "--dt": dt, "--method": method, "--filter": filter}
        options |= {"--normalisation": normalisation, "--geometry": geometry, "--ear": ear}
        replay_journal.refuse_options([name for name, value in options.items() if value])
        replay_journal.run(journal, model, engine, against, decisions, json=json)
        return
    if not recordings:
        raise typer.BadParameter("what is to be replayed? Give recordings, or --journal FOLDER")
    if against or decisions:
        raise typer.BadParameter("--against and --decisions go with --journal")
    pace, filters, sensor = speed_of(speed), filters_of(filter), geometry_of(geometry)
    step = load_step(model)
    spec = step.contract.network.input
    hears = agreed_ear(spec, step.name, ear_of_option(ear))
    loaded = load_engine(step, step.resolution(dt_of(dt), method, normalisation), engine)
    deployment = deploy(loaded, filters=filters, every="end")

    def show(path: Path, result: ReplayResult) -> None:
        if json:
            print_json({"path": path, **msgspec.to_builtins(result)})
            return
        decided = f"{result.label} ({max(result.scores):.2f})" if result.scores else "no events"
        typer.echo(
            f"{result.recording}: {decided}, {result.counters['binned']:,} of "
            f"{result.counters['received']:,} events in {result.steps} steps of "
            f"{format_duration(result.dt_us)} ({result.method}, {result.engine}), "
            f"step p50 {result.step_p50_us:.1f} us, p99 {result.step_p99_us:.1f} us"
        )

    for path in recordings:
        recording = open_recording(path, geometry=sensor, policy=policy, ear=hears)
        if recording.heard_by is not None and ear is None:
            note = note_of_hearing(spec, step.name, recording.name, recording.heard_by)
            if note:
                typer.echo(f"note: {note}", err=True)
        source = Tallied(recording)
        chunks = None if pace is None else paced(source, pace, on_leap=leaps_told(recording.name))
        show(path, replay(source, deployment, chunks))
        tell_problems(path, source.problems)
