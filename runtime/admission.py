"""How a model file comes to be served: read once, held against its manifest, tried, then parsed."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from retempo.exporters.errors import ContractError, ExportError, ManifestError, OperatorError
from retempo.exporters.manifest import Rule, check_manifest, digest_of
from retempo.exporters.operators import Limits, screen
from retempo.exporters.step_model import StepModel, parse_step
from retempo.runtime.admission_rules import When
from retempo.runtime.errors import ModelError
from retempo.runtime.event_log import EventLog
from retempo.runtime.trial import TrialSettings
from retempo.runtime.trial_process import Trials, Try
from retempo.runtime.trial_stamp import has_passed, stamp


@dataclass(frozen=True, slots=True)
class Admission:
    """What a model goes through before it goes live.

    `stamps` is the folder of stamps, None keeps none. `folders` are those that a model may lie in
    when a peer names it.
    """

    manifest: Rule = "if_present"
    trial: When = "new"
    settings: TrialSettings = field(default_factory=TrialSettings)
    stamps: Path | None = None
    folders: tuple[Path, ...] = ()


def admit(
    path: Path,
    admission: Admission,
    log: EventLog,
    *,
    attempt: Try | None = None,
    again: bool = False,
) -> StepModel:
    """Read a model that may go live.

    Args:
        path: the file.
        admission: what it goes through.
        log: told of a trial.
        attempt: tries it, in a child process if None.
        again: try it although it has passed before.

    Raises:
        ModelError: it may not go live; `kind` says why in a word.
    """
    settings = admission.settings
    content = read_file(path, settings.file_bytes)
    try:
        check_manifest(path, content, admission.manifest)
    except ManifestError as error:
        raise ModelError(str(error), "manifest") from error
    sha256 = digest_of(content)
    known = admission.stamps is not None and has_passed(admission.stamps, sha256, settings)
    if admission.trial == "always" or (admission.trial == "new" and (again or not known)):
        outcome = (attempt or Trials())(content, settings)
        log.info("model_tried", model=path.name, sha256=sha256, engine=outcome.engine)
        if admission.stamps is not None:
            try:
                stamp(admission.stamps, outcome, settings)
            except OSError as error:
                log.warning("stamp_not_written", reason=f"{admission.stamps}: {error.strerror}")
    return _parsed(content, path.name, settings.limits)


def _parsed(content: bytes, name: str, limits: Limits) -> StepModel:
    try:
        screen(content, name, limits)
        return parse_step(content, name)
    except OperatorError as error:
        raise ModelError(str(error), "operators") from error
    except ContractError as error:
        raise ModelError(str(error), "contract") from error
    except ExportError as error:
        raise ModelError(str(error), "contract") from error


def read_file(path: Path, most_bytes: int) -> bytes:
    """Read a regular file whole; a pipe or a device, which might never end, is not opened.

    Raises:
        ModelError: there is none, it cannot be read, or it is too large.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"cannot read the model {path}: {reason}", "file") from error
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise ModelError(f"cannot read the model {path}: it is no file", "file")
    with os.fdopen(handle, "rb") as file:
        if found.st_size > most_bytes:
            raise ModelError(
                f"{path.name} has {found.st_size:,} bytes, at most {most_bytes:,}; raise [models] "
                "most_bytes if it is your own",
                "file",
            )
        try:
            return file.read(most_bytes + 1)
        except OSError as error:
            raise ModelError(f"cannot read the model {path}: {error.strerror}", "file") from error


def within(text: str, base: Path, folders: tuple[Path, ...]) -> Path:
    """Return the path of a model that a peer names, links resolved.

    Args:
        text: as it came; a relative path starts from `base`.
        base: the folder of the configuration.
        folders: those that it may lie in.

    Raises:
        ModelError: it lies outside all of them.
    """
    try:
        path = (base / text).resolve()
        allowed = any(path.is_relative_to(folder.resolve()) for folder in folders)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{text!r} is no path of a model: {error}", "file") from error
    if not allowed:
        where = ", ".join(map(str, folders))
        raise ModelError(
            f"{text!r} lies outside the folders of models ({where}); move it there, or set "
            "[models] folder",
            "file",
        )
    return path
