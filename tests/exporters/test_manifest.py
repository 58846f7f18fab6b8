"""The manifest beside a model: other bytes than the sealed ones are refused by name."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from retempo.exporters.errors import ManifestError
from retempo.exporters.manifest import (
    Rule,
    check_manifest,
    digest_of,
    manifest_path,
    read_manifest,
    seal,
)

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"the model")
    return path


def test_a_sealed_model_passes_and_its_manifest_says_what_it_is(model: Path) -> None:
    path = seal(model, b"the model", "1.2", NOW)
    assert path == manifest_path(model) == model.parent / "m.onnx.sha256.json"
    manifest = read_manifest(path)
    assert manifest is not None
    assert (manifest.sha256, manifest.size) == (digest_of(b"the model"), 9)
    assert (manifest.retempo, manifest.sealed) == ("1.2", "2026-11-28T12:00:00+00:00")
    check_manifest(model, b"the model", "required")


@pytest.mark.parametrize("content", [b"the modem", b"the model ", b""])
@pytest.mark.parametrize("rule", ["required", "if_present"])
def test_other_bytes_are_refused(model: Path, content: bytes, rule: Rule) -> None:
    seal(model, b"the model", "1.2", NOW)
    with pytest.raises(ManifestError, match=r"m\.onnx is not what its manifest was sealed for"):
        check_manifest(model, content, rule)
    check_manifest(model, content, "off")


def test_a_manifest_may_be_missing_unless_it_is_required(model: Path) -> None:
    check_manifest(model, b"the model", "if_present")
    with pytest.raises(ManifestError, match=r"has no manifest m\.onnx\.sha256\.json"):
        check_manifest(model, b"the model", "required")


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff\xfe", b"[" * 70_000, b'{"version": "1"}'])
def test_a_damaged_manifest_is_refused(model: Path, text: bytes) -> None:
    manifest_path(model).write_bytes(text)
    with pytest.raises(ManifestError, match=r"the manifest m\.onnx\.sha256\.json is damaged"):
        check_manifest(model, b"the model", "if_present")


def test_a_manifest_of_another_version_is_refused(model: Path) -> None:
    path = seal(model, b"the model", "1.2", NOW)
    manifest = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(manifest | {"version": 2}))
    with pytest.raises(ManifestError, match="version 2, this Retempo reads 1"):
        check_manifest(model, b"the model", "if_present")
