"""`camera:` texts: which of the cameras that are there is meant, and by which package."""

from collections.abc import Callable
from dataclasses import dataclass

from retempo.sensors.cameras import dv, neuromorphic
from retempo.sensors.cameras.camera import Listed
from retempo.sensors.errors import LiveError, SensorError
from retempo.sensors.events import Source
from retempo.sensors.geometry import Geometry
from retempo.sensors.live.chunk_queue import OVERLOADS
from retempo.sensors.live.options import one_of, read_options, whole
from retempo.sensors.live.stream import LiveStream

EXAMPLE = "camera:evk4"
_HIGHEST_BIAS = 65_535


@dataclass(frozen=True, slots=True)
class Package:
    """A package that drives cameras; `list` raises an ImportError where it is not installed."""

    name: str
    option: str
    list: Callable[[], list[Listed]]


# Where both find a camera, the first drives it: it tells what it drops.
PACKAGES: tuple[Package, ...] = (
    Package("neuromorphic-drivers", "neuromorphic", neuromorphic.list_cameras),
    Package("dv-processing", "dv", dv.list_cameras),
)


def open_camera(rest: str, geometry: Geometry | None) -> Source:
    """Open `camera:`, the first camera found, `camera:MODEL` or `camera:SERIAL`.

    Options: `driver=neuromorphic` or `driver=dv`, `overload=` (see `ChunkQueue`), and any bias of
    the model by its name in neuromorphic-drivers.

    Raises:
        LiveError: there is no such camera, it cannot be opened, or no package drives one.
        SensorError: an unknown or unfit option.
    """
    wanted, _, query = rest.partition("?")
    options = read_options(
        query,
        {
            "driver": one_of(*(each.option for each in PACKAGES)),
            "overload": one_of(*OVERLOADS),
        },
        EXAMPLE,
        others=whole(-_HIGHEST_BIAS, _HIGHEST_BIAS),
    )
    driver = options.pop("driver", "")
    overload = options.pop("overload", "shed_oldest")
    package, found = _choose(wanted.lower(), driver)
    if geometry is not None:
        raise SensorError(f"camera:{rest} knows its own sensor, got the geometry {geometry}")
    if package.option == "dv":
        if options:
            raise SensorError(
                f"camera:{rest} sets {min(options)}, but biases are set by neuromorphic-drivers; "
                "leave it out, or give driver=neuromorphic"
            )
        return LiveStream(dv.open_dv_camera(found.serial), overload)
    camera = neuromorphic.open_neuromorphic(found.model, found.serial, options)
    return LiveStream(camera, overload)


def _choose(wanted: str, driver: str) -> tuple[Package, Listed]:
    missing: list[str] = []
    troubles: list[str] = []
    seen: list[str] = []
    for package in PACKAGES:
        if driver not in ("", package.option):
            continue
        try:
            cameras = package.list()
        except ImportError:
            missing.append(package.name)
            continue
        except LiveError as error:
            troubles.append(str(error))
            continue
        for each in cameras:
            if wanted in ("", each.model.lower(), each.serial.lower()):
                return package, each
            seen.append(f"{each.model} {each.serial}".strip())
    told = [f"found: {', '.join(seen)}"] if seen else []
    told += troubles
    if missing:
        told.append(f"{' and '.join(missing)} missing: pip install 'retempo[camera]'")
    what = f"camera {wanted}" if wanted else "camera"
    why = f" ({'; '.join(told)})" if told else ""
    raise LiveError(f"no {what} is found{why}; plug one in and look with retempo devices")
