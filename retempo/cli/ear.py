"""`--ear`: what hears a sound, by its own text or by the model that was trained with it."""

from pathlib import Path
from typing import Annotated

import typer

from retempo.sensors.ears.registry import EarSpec

EarText = Annotated[
    str | None,
    typer.Option(
        "--ear",
        metavar="MODEL.onnx|TEXT",
        help="What hears sound: that of a model, or gammatone, lauscher or speech2spikes with "
        "settings, as in 'gammatone?channels=64'; needed where a model does not say.",
    ),
]


def ear_of_option(text: str | None) -> EarSpec | None:
    """Return the ear that `--ear` names, None where it is left out.

    Raises:
        ExportError, InputError: the model cannot be read, or carries no ear.
        CochleaError: the text names no ear.
    """
    from retempo.exporters.step_model import load_step
    from retempo.runtime.errors import InputError
    from retempo.runtime.hearing import stated_ear
    from retempo.sensors.ears.registry import parse

    if text is None:
        return None
    if not text.endswith(".onnx") and not Path(text).is_file():
        return parse(text)
    step = load_step(Path(text))
    ear = stated_ear(step.contract.network.input, step.name)
    if ear is None:
        raise InputError(
            f"{text} does not say by which ear it was trained; name it, as in "
            "--ear 'gammatone?channels=700'"
        )
    return ear
