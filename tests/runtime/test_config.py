"""Typed configuration: an unknown key names the nearest known one."""

from pathlib import Path

import msgspec
import pytest

from retempo.runtime.config import load_config
from retempo.runtime.errors import ConfigError


class Section(msgspec.Struct, frozen=True):
    bind: str = "here"
    window: int = 4


class Whole(msgspec.Struct, frozen=True):
    model: str
    feed: Section = Section()


def write(folder: Path, text: str) -> Path:
    path = folder / "c.toml"
    path.write_text(text)
    return path


def test_a_config_becomes_its_struct(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, 'model = "m"\n[feed]\nwindow = 9'), Whole)
    assert config == Whole("m", Section("here", 9))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('modl = "m"', r"unknown key 'modl'; did you mean model\? Known here: model, feed"),
        ('model = "m"\n[feed]\nbnd = "x"', r"unknown key 'feed\.bnd'; did you mean feed\.bind\?"),
        ('model = "m"\n[feed]\nwindow = "x"', r"Expected int, got str - at \$\.feed\.window"),
        ("", "missing required field model"),
        ("model = ", "is no TOML"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text), Whole)


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the config .*none\.toml: No such file"):
        load_config(tmp_path / "none.toml", Whole)


def test_a_binary_file_is_no_config(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load_config(path, Whole)
