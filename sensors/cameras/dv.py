"""Cameras and network streams by iniVation's dv-processing package (Apache-2.0).

One device serves both: cameras, the network reader and recordings have the same methods there. The
package does not tell what it drops. Times are microseconds since 1970.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from retempo.sensors.cameras.camera import Listed, reason_of
from retempo.sensors.columns import Columns, join, no_events
from retempo.sensors.errors import LiveError
from retempo.sensors.events import Clock
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.live.device import Arrival

PACKAGE = "dv_processing"

# The package has no call that waits: it is asked this often.
_ASK_S = 0.0005
_MOST_BATCHES = 64
_OTHERS = (
    ("isFrameStreamAvailable", "getNextFrame"),
    ("isImuStreamAvailable", "getNextImuBatch"),
    ("isTriggerStreamAvailable", "getNextTriggerBatch"),
)
# How long a camera gathers events before it hands them on; the package's own is 10 ms.
_INTERVAL = timedelta(milliseconds=1)


class Reader(Protocol):
    """What is used of the package's `InputBase`: cameras, network readers and recordings."""

    def getCameraName(self) -> str:  # noqa: N802
        """Model and serial number."""
        ...

    def getEventResolution(self) -> tuple[int, int] | None:  # noqa: N802
        """Width and height, None where no events come."""
        ...

    def getNextEventBatch(self) -> Any:  # noqa: N802
        """The next events as an `EventStore`, None where there are none at once."""
        ...

    def isRunning(self) -> bool:  # noqa: N802
        """Whether it is still there."""
        ...


class DvDevice:
    """Something that the package has opened, as a device.

    `ends` says that the end of the data is an ordinary one, as when a peer closes its connection.
    """

    clock: Clock = "sensor"

    def __init__(
        self,
        reader: Reader,
        name: str = "",
        *,
        ends: bool,
        foresees: bool = True,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        shape = reader.getEventResolution()
        if shape is None:
            raise LiveError(
                f"{name or reader.getCameraName()} sends no events; expected a camera's"
            )
        self._reader: Reader | None = reader
        self._ends = ends
        self._clock_s = clock_s
        self._sleep = sleep
        self.foresees = foresees
        self.name = name or reader.getCameraName()
        self.geometry = GridGeometry(*shape)
        self.about = f"{reader.getCameraName()} by dv-processing, {self.geometry}"

    def read(self, timeout_s: float) -> Arrival:
        """Ask for events until some come or the time is over.

        Raises:
            LiveError: the device is gone.
        """
        assert self._reader is not None  # noqa: S101  (who reads has not closed)
        until_s = self._clock_s() + timeout_s
        while True:
            # Asked first: what came before the end is still read.
            running = self._reader.isRunning()
            self._pass_over(self._reader)
            batches = self._batches(self._reader)
            now_us = self._clock_s() * 1e6
            if batches:
                return Arrival(join(batches), now_us, came_us=now_us)
            if not running and self._ends:
                return Arrival(no_events(), now_us, last=True)
            if not running:
                raise LiveError(f"{self.name} is gone; plug it in and start again")
            if now_us >= until_s * 1e6:
                return Arrival(no_events(), now_us)
            self._sleep(_ASK_S)

    def close(self) -> None:
        """Let go of it; the package closes what nobody refers to."""
        self._reader = None

    def _pass_over(self, reader: Reader) -> None:
        """Take what is of no use here, so that it does not pile up in the package."""
        for available, take in _OTHERS:
            if getattr(reader, available)():
                getattr(reader, take)()

    def _batches(self, reader: Reader) -> list[Columns]:
        batches: list[Columns] = []
        try:
            while len(batches) < _MOST_BATCHES:
                store = reader.getNextEventBatch()
                if store is None:
                    break
                batches.append(columns_of(store))
        except RuntimeError as error:
            raise LiveError(f"{self.name} is gone: {reason_of(error)}") from error
        return batches


def columns_of(store: Any) -> Columns:
    """Return an `EventStore` of the package as columns."""
    if store.isEmpty():
        return no_events()
    events = store.numpy()
    return Columns(
        np.ascontiguousarray(events["timestamp"]),
        # Signed there; an address below zero lands far outside the sensor, where it is counted.
        events["x"].astype(np.uint16),
        events["y"].astype(np.uint16),
        events["polarity"].astype(np.bool_),
    )


def package() -> ModuleType:
    """Import the package.

    Raises:
        ImportError: it is missing, or the library that it wraps is.
    """
    return import_module(PACKAGE)


def list_cameras() -> list[Listed]:
    """Return the cameras that the package finds.

    Raises:
        ImportError: the package is missing.
        LiveError: it cannot look.
    """
    dv = package()
    try:
        found = dv.io.camera.discover()
    except RuntimeError as error:
        raise LiveError(f"dv-processing cannot look for cameras: {reason_of(error)}") from error
    listed = []
    for each in found:
        model = getattr(each.cameraModel, "name", str(each.cameraModel))
        listed.append(Listed(model.lower(), f"iniVation {model}", each.serialNumber))
    return listed


def open_dv_camera(serial: str) -> DvDevice:
    """Open a camera; an empty `serial` takes any.

    Raises:
        ImportError: the package is missing.
        LiveError: there is no such camera, or it cannot be opened.
    """
    dv = package()
    try:
        camera = dv.io.camera.open(serial) if serial else dv.io.camera.open()
        camera.setTimeInterval(_INTERVAL)
    # An IndexError is how it says that no camera is there.
    except (RuntimeError, IndexError) as error:
        raise LiveError(f"the camera cannot be opened: {reason_of(error)}") from error
    return DvDevice(camera, ends=False)
