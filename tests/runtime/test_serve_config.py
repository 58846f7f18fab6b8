"""The configuration of a deployment."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from retempo.runtime.config import load_config
from retempo.runtime.errors import ConfigError
from retempo.runtime.serve_config import FeedConfig, ServeConfig
from retempo.runtime.serving import grace_us_of


def test_a_configuration_is_read_and_its_limits_hold(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(
        'model = "m.onnx"\n[feed]\nbind = "ipc:///run/feed"\n[input]\nmask = [[3, 4]]\n'
    )
    config = load_config(path, ServeConfig)
    assert (config.feed.bind, config.feed.window) == ("ipc:///run/feed", 64)
    assert config.input.mask == [[3, 4]]
    assert config.decisions.bind.startswith("tcp://127.0.0.1:")
    path.write_text('model = "m.onnx"\n[feed]\nwindow = 0\n')
    with pytest.raises(ConfigError, match="window"):
        load_config(path, ServeConfig)
    path.write_text('model = "m.onnx"\n[fed]\n')
    with pytest.raises(ConfigError, match="did you mean feed"):
        load_config(path, ServeConfig)


def test_the_grace_of_a_stream_is_a_duration() -> None:
    assert grace_us_of(ServeConfig(model="m.onnx")) == 10_000_000
    assert grace_us_of(ServeConfig(model="m.onnx", feed=FeedConfig(grace="0us"))) == 0
    with pytest.raises(ConfigError, match=r"\[feed\] grace: "):
        grace_us_of(ServeConfig(model="m.onnx", feed=FeedConfig(grace="long")))


def test_the_page_shows_every_key_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "runtime.md").read_text(encoding="utf-8")
    match = re.search(r"^```toml\n(model = .*?)^```", page, re.MULTILINE | re.DOTALL)
    assert match is not None
    shown = msgspec.convert(tomllib.loads(match[1]), ServeConfig)
    assert shown == ServeConfig(model="model.onnx")
    section, keys = "", set[str]()
    for line in match[1].splitlines():
        if line.startswith("["):
            section = line.partition("]")[0].strip("[")
            keys.add(section)
        elif "[[input.filter]]" in line:
            keys.add("input.filter")
        elif found := re.match(r"(?:# )?([a-z_]+) = ", line):
            keys.add(f"{section}.{found[1]}".lstrip("."))
    wanted = set[str]()
    for key in ServeConfig.__struct_fields__:
        wanted.add(key)
        parts = getattr(getattr(shown, key), "__struct_fields__", ())
        wanted |= {f"{key}.{part}" for part in parts}
    # The filters that the page shows have keys of their own.
    assert keys - wanted == {f"input.{key}" for key in ("kind", "at", "size", "factor")}
    assert wanted - keys == set()
