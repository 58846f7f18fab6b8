"""Which models have passed their trial on this machine, so that a restart need not try them again.

A stamp is an empty-handed note: a file named after what was tried. Losing one costs a trial.
"""

import hashlib
import os
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from retempo.exporters.files import write_atomically
from retempo.runtime.trial import Outcome, TrialSettings

_LIBRARIES = ("retempo", "onnx", "onnxruntime", "onnxruntime-gpu", "numba", "numpy")


def stamps_folder() -> Path:
    """Return where stamps are kept: the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if home.startswith("/") else Path("~/.cache").expanduser()
    return base / "retempo" / "trials"


def stamp_path(folder: Path, sha256: str, settings: TrialSettings) -> Path:
    """Return the stamp of a model: named after its bytes, how it is served, and the versions."""
    parts = (
        *(sha256, settings.engine, settings.dt_us, settings.method, settings.normalisation),
        *(settings.operators, settings.file_bytes),
        *(sys.version, *map(_version, _LIBRARIES)),
    )
    return folder / f"{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]}.json"


def has_passed(folder: Path, sha256: str, settings: TrialSettings) -> bool:
    """Return whether the stamp of a model is there and is its own."""
    with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        text = stamp_path(folder, sha256, settings).read_bytes()
        return msgspec.json.decode(text, type=Outcome).sha256 == sha256
    return False


def stamp(folder: Path, outcome: Outcome, settings: TrialSettings) -> None:
    """Note that a model has passed.

    Raises:
        OSError: the note cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(stamp_path(folder, outcome.sha256, settings), msgspec.json.encode(outcome))


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
