"""One daemon a file, on the demonstration's network at 1 ms; a row that needs another makes it."""

from collections.abc import Iterator

import pytest

from tests.daemons import Daemon, serving
from tests.serve_config import write_config


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that waits 2 ms for late events."""
    config = write_config(tmp_path_factory.mktemp("faults"), '[input]\nlateness = "2ms"')
    with serving(config) as running:
        yield running
        # Every stream that ended here obeyed the sum rule, or this fails.
        running.stop()
