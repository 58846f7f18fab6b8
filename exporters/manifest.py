"""The manifest beside a model file: what its bytes are, so that others are not taken for them."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from retempo.exporters.errors import ManifestError
from retempo.exporters.files import write_atomically

MANIFEST_VERSION = 1
SUFFIX = ".sha256.json"
# So much of a SHA-256 tells models apart where a person reads it.
IDENTITY_DIGITS = 12
_MOST_BYTES = 1 << 16

# `required` refuses a model without a manifest, `if_present` one that differs from its own.
Rule = Literal["required", "if_present", "off"]


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person wants to know of the contract; it is not checked against it."""

    source_dt_us: int
    target_dt_us: int
    method: str
    inputs: int
    labels: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model file's bytes are, who sealed them, and when (UTC, ISO 8601)."""

    version: int
    sha256: str
    size: int
    retempo: str
    sealed: str
    contract: Summary | None = None


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of bytes, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def manifest_path(model: Path) -> Path:
    """Return where a model's manifest lies: `model.onnx.sha256.json`."""
    return model.with_name(model.name + SUFFIX)


def seal(
    model: Path, content: bytes, made_by: str, now: datetime, summary: Summary | None = None
) -> Path:
    """Write the manifest of a model beside it; returns its path.

    Args:
        model: the file.
        content: its bytes.
        made_by: the version of Retempo.
        now: when.
        summary: of its contract.

    Raises:
        ManifestError: the manifest cannot be written.
    """
    path = manifest_path(model)
    stamp = now.astimezone(UTC).isoformat(timespec="seconds")
    manifest = Manifest(MANIFEST_VERSION, digest_of(content), len(content), made_by, stamp, summary)
    try:
        write_atomically(path, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    except OSError as error:
        raise ManifestError(f"cannot write {path}: {error.strerror}") from error
    return path


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest; None where there is no file.

    Raises:
        ManifestError: it cannot be read, or is damaged.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ManifestError(f"cannot read the manifest {path}: {error.strerror}") from error
    try:
        manifest = msgspec.json.decode(text[:_MOST_BYTES], type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"the manifest {path.name} is damaged: {error}; seal the model again with retempo seal"
        ) from error
    if manifest.version != MANIFEST_VERSION:
        raise ManifestError(
            f"the manifest {path.name} has version {manifest.version}, this Retempo reads "
            f"{MANIFEST_VERSION}; seal the model again with retempo seal"
        )
    return manifest


def check_manifest(model: Path, content: bytes, rule: Rule) -> None:
    """Check a model's bytes against its manifest.

    Raises:
        ManifestError: they differ, the manifest is damaged, or it is missing and required.
    """
    if rule == "off":
        return
    path = manifest_path(model)
    manifest = read_manifest(path)
    if manifest is None:
        if rule == "required":
            raise ManifestError(
                f"{model.name} has no manifest {path.name}, and [models] manifest is required; "
                "write it with retempo seal"
            )
        return
    found = digest_of(content)
    if (found, len(content)) != (manifest.sha256, manifest.size):
        raise ManifestError(
            f"{model.name} is not what its manifest was sealed for: {len(content):,} bytes of "
            f"SHA-256 {found[:IDENTITY_DIGITS]}, sealed {manifest.size:,} of "
            f"{manifest.sha256[:IDENTITY_DIGITS]}; restore the file, or seal it again if you "
            "changed it"
        )
