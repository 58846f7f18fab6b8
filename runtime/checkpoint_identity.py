"""What a checkpoint belongs to: a model, and all settings by which its numbers come about."""

import hashlib
from pathlib import Path

import msgspec

from retempo.exporters.resolution import Resolution
from retempo.exporters.step_model import StepModel
from retempo.runtime.checkpoint import Checkpoint, Identity
from retempo.runtime.checkpoint_folder import CheckpointFolder
from retempo.runtime.deployment import Deployment
from retempo.runtime.engines import AUTO
from retempo.runtime.errors import CheckpointError


def identity_of(deployment: Deployment) -> Identity:
    """Return what a checkpoint of a deployment belongs to."""
    engine = deployment.engine
    settings = {
        "engine": engine.name,
        "resolution": _resolution(engine.resolution),
        "ladder": [_resolution(deployment.ladder[dt_us]) for dt_us in sorted(deployment.ladder)],
        "mask": hashlib.sha256(deployment.layout.mask.tobytes()).hexdigest(),
        "mask_shape": list(deployment.layout.mask.shape),
        # Filters are plain data: their text is all that they are.
        "filters": [repr(each) for each in deployment.filters],
        "readout": deployment.readout,
        "span_us": deployment.span_us,
        "lateness_us": deployment.lateness_us,
        "every": deployment.every,
        "guard": repr(deployment.guard),
    }
    return Identity(
        deployment.model.sha256,
        hashlib.sha256(msgspec.json.encode(settings)).hexdigest(),
        engine.name,
    )


def check_identity(checkpoint: Checkpoint, wanted: Identity) -> None:
    """Check that a checkpoint is of this model and of these settings.

    Raises:
        CheckpointError: it is of others; the text says which.
    """
    found = checkpoint.identity
    if found.model != wanted.model:
        raise CheckpointError(
            f"it is of the model {found.model[:12]}, this daemon serves {wanted.model[:12]}; give "
            "each model its own [checkpoint] folder"
        )
    if found.engine != wanted.engine:
        raise CheckpointError(
            f"it is of the engine {found.engine}, this daemon steps by {wanted.engine}; set "
            "[engine] name to the one that wrote it"
        )
    if found.settings != wanted.settings:
        raise CheckpointError(
            "it is of other settings (dt, method, normalisation, mask, filters, guard, readout, "
            "lateness, every or overload); start with those that wrote it, or in another folder"
        )


def engine_to_load(name: str, model: StepModel, folder: Path | None) -> str:
    """Return the engine that a deployment shall load.

    By `auto` it is the one that the newest checkpoint of the model was written by: the choice is
    measured anew at each start, and near a tie it may fall otherwise.
    """
    if name != AUTO or folder is None:
        return name
    digest = model.sha256

    def take(checkpoint: Checkpoint) -> str:
        if checkpoint.identity.model != digest:
            raise CheckpointError("it is of another model")
        return checkpoint.identity.engine

    return CheckpointFolder.look(folder, take) or name


def _resolution(resolution: Resolution) -> list[object]:
    return [
        resolution.dt_us,
        resolution.method,
        resolution.normalisation,
        float(resolution.lag),
        resolution.substeps,
    ]
