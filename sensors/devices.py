"""What is there to publish from: cameras, and whatever else a row of `FINDERS` looks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from retempo.sensors.cameras.camera import Listed
from retempo.sensors.cameras.choose import PACKAGES, Package
from retempo.sensors.errors import SensorError
from retempo.sensors.microphone import list_microphones


@dataclass(frozen=True, slots=True)
class Found:
    """A device that is there. `source` is the text that opens it, `trouble` why that may fail."""

    kind: str
    name: str
    source: str
    about: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Finder:
    """A row of the registry: an optional package, its extra, and how it looks for devices.

    `find` raises an ImportError where the package is missing and a SensorError where it fails.
    """

    kind: str
    package: str
    extra: str
    find: Callable[[], Sequence[Found]]


@dataclass(frozen=True, slots=True)
class Looked:
    """What one finder came back with; `missing` tells how to install its package."""

    kind: str
    package: str
    found: Sequence[Found] = ()
    missing: str = ""
    failed: str = ""


def look(finders: Sequence[Finder] | None = None) -> list[Looked]:
    """Return what each finder finds, its package missing or not."""
    return [_look(finder) for finder in (FINDERS if finders is None else finders)]


def _look(finder: Finder) -> Looked:
    try:
        return Looked(finder.kind, finder.package, tuple(finder.find()))
    # OSError: the package is there, the library that it wraps is not.
    except (ImportError, OSError):
        missing = f"pip install 'retempo[{finder.extra}]'"
        return Looked(finder.kind, finder.package, missing=missing)
    except SensorError as error:
        return Looked(finder.kind, finder.package, failed=str(error))


def _cameras(package: Package) -> Finder:
    def find() -> list[Found]:
        return [_camera(each, package) for each in package.list()]

    return Finder("camera", package.name, "camera", find)


def _camera(listed: Listed, package: Package) -> Found:
    wanted = listed.serial or listed.model
    return Found(
        "camera",
        f"{listed.name} {listed.serial}".strip(),
        f"camera:{wanted}?driver={package.option}",
        listed.connection,
        listed.trouble,
    )


def _microphones() -> list[Found]:
    return [
        Found(
            "microphone",
            each.name,
            each.source,
            f"{each.rate_hz:,} Hz" + (", the system's own" if each.default else ""),
        )
        for each in list_microphones()
    ]


FINDERS: tuple[Finder, ...] = (
    *(_cameras(package) for package in PACKAGES),
    Finder("microphone", "sounddevice", "audio", _microphones),
)
