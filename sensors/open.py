"""A source by its text: a path, or `scheme:rest`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from retempo.sensors.cameras import choose
from retempo.sensors.ears.registry import EarSpec
from retempo.sensors.errors import SensorError
from retempo.sensors.events import Source
from retempo.sensors.files import open_recording
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.microphone import hear_microphone, open_microphone
from retempo.sensors.network import dv, evt_open, udp
from retempo.sensors.problems import Policy
from retempo.sensors.simulated import SimulatedCamera, digit_image

# Two letters at least: a single one is a drive.
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):(.*)$", re.DOTALL)
# The share of the view's shorter side that a digit takes; the rest is room for the saccades.
_DIGIT_SHARE = 20 / 34


@dataclass(frozen=True, slots=True)
class Scheme:
    """A row of the registry of source texts; `open(rest, geometry)` gets what follows the colon.

    `hear(rest, ear)` opens a source of sound for an ear that is not named in its text.
    """

    name: str
    example: str
    open: Callable[[str, Geometry | None], Source]
    hear: Callable[[str, EarSpec], Source] | None = None


def open_source(
    text: str | Path,
    geometry: Geometry | None = None,
    policy: Policy = "raise",
    ear: EarSpec | None = None,
) -> Source:
    """The source that a text names: a recorded file's path, or one of `SCHEMES`.

    A file that exists is opened whatever its name looks like; `policy` is for files alone, see
    `files.Recording`; `ear` is for sound, the default one or that of the text if None.

    Raises:
        SensorError: an unknown scheme, or options that the scheme does not have.
        RecordingError: the file is missing or unreadable.
    """
    found = _SCHEME.match(str(text))
    if found is None or Path(text).exists():
        return open_recording(text, geometry=geometry, policy=policy, ear=ear)
    for scheme in SCHEMES:
        if scheme.name == found[1].lower():
            if ear is not None:
                return _hear(scheme, text, found[2], ear)
            return scheme.open(found[2], geometry)
    examples = ", ".join(scheme.example for scheme in SCHEMES)
    raise SensorError(
        f"{text} has the unknown scheme {found[1]}, expected a file's path or {examples}"
    )


def _hear(scheme: Scheme, text: str | Path, rest: str, ear: EarSpec) -> Source:
    if scheme.hear is None:
        raise SensorError(f"{text} is no sound, so no ear can hear it; leave the ear out")
    return scheme.hear(rest, ear)


def _open_simulated(rest: str, geometry: Geometry | None) -> Source:
    digit, _, query = rest.partition("?")
    example = "simulated:3?seed=1"
    if not re.fullmatch(r"[0-9]", digit):
        raise SensorError(f"simulated:{rest} shows {digit!r}, expected a digit, as in {example}")
    options = dict(parse_qsl(query, keep_blank_values=True))
    seed = options.pop("seed", "0")
    if options:
        raise SensorError(
            f"simulated:{rest} has the unknown option {min(options)}, expected seed, "
            f"as in {example}"
        )
    if not re.fullmatch(r"[0-9]+", seed):
        raise SensorError(f"simulated:{rest} has the seed {seed!r}, expected a whole number")
    grid = geometry or GridGeometry(34, 34)
    if not isinstance(grid, GridGeometry):
        raise SensorError(f"simulated:{rest} is a camera, got the geometry {grid}; give a grid")
    side = round(min(grid.width, grid.height) * _DIGIT_SHARE)
    return SimulatedCamera(digit_image(int(digit), side), grid, int(seed), name=f"simulated:{rest}")


SCHEMES: tuple[Scheme, ...] = (
    Scheme("simulated", "simulated:3?seed=1", _open_simulated),
    Scheme("camera", choose.EXAMPLE, choose.open_camera),
    Scheme("udp", udp.EXAMPLE, udp.open_udp),
    *(Scheme(name, evt_open.example(name), evt_open.opener(name)) for name in evt_open.VERSIONS),
    Scheme("dv", dv.EXAMPLE, dv.open_dv),
    Scheme("mic", "mic:?channels=64", open_microphone, hear_microphone),
)
