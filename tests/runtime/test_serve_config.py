"""The configuration of a deployment."""

from pathlib import Path

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
