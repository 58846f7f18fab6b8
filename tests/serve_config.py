"""The configuration that tests serve by, and the same deployment in this process."""

import json
from pathlib import Path
from typing import Any

from retempo.demo.assets import MODEL
from retempo.runtime.config import load_config
from retempo.runtime.deployment import Deployment
from retempo.runtime.serve_config import ServeConfig
from retempo.runtime.serving import deployment_of

ANY_PORT = "tcp://127.0.0.1:*"
METRICS = '[metrics]\nbind = "127.0.0.1:*"\n'
AT_1_MS = 'dt = "1ms"'
BY_LAG = f'{AT_1_MS}\nmethod = "lag"'


def config_text(
    tables: str = "",
    *,
    model: Path | str = MODEL,
    top: str = AT_1_MS,
    feed: str = ANY_PORT,
    feed_keys: str = "",
    decisions: str = ANY_PORT,
    decisions_keys: str = "",
) -> str:
    """Return a configuration.

    Args:
        tables: any but those of the feed and the decisions.
        model: what is served.
        top: the keys above all tables.
        feed: its endpoint.
        feed_keys: more keys of its table.
        decisions: their endpoint.
        decisions_keys: more keys of their table.
    """
    return f"""
        model = {json.dumps(str(model))}
        {top}
        [feed]
        bind = {json.dumps(feed)}
        {feed_keys}
        [decisions]
        bind = {json.dumps(decisions)}
        {decisions_keys}
        {tables}
        """


def write_config(folder: Path, tables: str = "", **keys: Any) -> Path:
    """Write a configuration as `serve.toml`; arguments as of `config_text`."""
    path = folder / "serve.toml"
    path.write_text(config_text(tables, **keys))
    return path


def deployed(config: Path) -> Deployment:
    """Return the deployment that a daemon makes of a configuration."""
    return deployment_of(load_config(config, ServeConfig), config.parent)
