"""What tests of several rooms share."""

from pathlib import Path

import pytest
from hypothesis import settings

# The first call of a kernel compiles it, and shared cores stall: a deadline would test the machine.
settings.register_profile("retempo", deadline=None)
settings.load_profile("retempo")


@pytest.fixture(scope="session")
def recordings_folder() -> Path:
    """The folder of real recordings beside the project; it is read in place, never copied."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real recordings (../shared/data beside the project) are absent")
    return folder
