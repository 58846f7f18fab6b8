"""Cameras by the neuromorphic-drivers package (MIT): Prophesee, CenturyArks, iniVation, Lucid.

The package reads the camera in a thread of its own, into a ring of fixed size. What comes while the
ring is full is dropped and counted in packets; nobody knows how many events they held.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from retempo.sensors.cameras.camera import Listed, reason_of
from retempo.sensors.columns import AnyColumns, Columns, no_events
from retempo.sensors.errors import LiveError, SensorError
from retempo.sensors.events import Clock
from retempo.sensors.evt import Coding
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.live.device import Arrival
from retempo.sensors.live.evt_words import EvtWords
from retempo.sensors.live.stream import HEARTBEAT_S
from retempo.sensors.problems import both, problem

PACKAGE = "neuromorphic_drivers"

# The models by the names that `camera:NAME` takes, and the module of each one's configuration.
MODELS: Mapping[str, str] = {
    "davis346": "inivation_davis346",
    "dvxplorer": "inivation_dvxplorer",
    "evk3": "prophesee_evk3_hd",
    "evk4": "prophesee_evk4",
    "silkyevcam": "centuryarks_vga",
    "triton2": "lucid_triton",
}

# What these send is decoded here, so that what breaks the rules of EVT3 is counted.
RAW_EVT3 = frozenset({"evk3", "evk4", "silkyevcam"})


class Driver(Protocol):
    """What is used of the package's device: `open` returns it, a test's stand-in takes its place.

    Each step of the iterator gives a status (`Status`, or `RawStatus` where no data came) and a
    packet whose `polarity_events` is None or has the fields t, x, y and on; bytes if opened raw.
    """

    def __next__(self) -> tuple[Any, Any]:
        """Wait for data for at most the time set at `open`."""
        ...

    def name(self) -> Any:
        """A member of the package's `Name`."""
        ...

    def serial(self) -> str:
        """The serial number."""
        ...

    def properties(self) -> Any:
        """Width and height."""
        ...

    def close(self) -> None:
        """Let go of the camera."""
        ...


class NeuromorphicCamera:
    """An open camera of the package as a device.

    `raw` says that the driver gives the bytes of EVT3 as they are, instead of decoded events.
    """

    clock: Clock = "sensor"
    foresees = True

    def __init__(self, driver: Driver, *, raw: bool = False) -> None:
        self._driver = driver
        self._words = EvtWords(Coding("3")) if raw else None
        self._dropped = 0
        shape = driver.properties()
        self.geometry = GridGeometry(shape.width, shape.height)
        self.name = f"{driver.name().value} {driver.serial()}"
        self.about = f"{self.name} by neuromorphic-drivers, {self.geometry}"

    def read(self, timeout_s: float) -> Arrival:
        """Take the next packet; the time was set when the camera was opened.

        Raises:
            LiveError: the camera is gone.
        """
        del timeout_s
        try:
            status, packet = next(self._driver)
        except StopIteration as error:
            raise LiveError(f"{self.name} sends no more; is it still plugged in?") from error
        except RuntimeError as error:
            raise LiveError(
                f"{self.name} is gone: {reason_of(error)}; plug it in and start again"
            ) from error
        now_us = status.system_time * 1e6
        if status.ring is None:
            return Arrival(no_events(), now_us)
        dropped = max(0, status.ring.dropped_packets - self._dropped)
        self._dropped = status.ring.dropped_packets
        columns: AnyColumns
        if self._words is None:
            columns, reached_us = columns_of(packet), status.ring.current_t
        else:
            columns, reached_us = self._words.feed(packet or b""), self._words.reached_us
        if dropped:
            full = problem("overflow", "the camera's buffer was full", 0, dropped)
            columns = replace(columns, problems=both(full, columns.problems))
        return Arrival(
            columns,
            now_us,
            came_us=status.ring.system_time * 1e6,
            reached_us=reached_us,
            lost=dropped,
        )

    def close(self) -> None:
        """Let go of the camera."""
        self._driver.close()


def columns_of(packet: Any) -> Columns:
    """Return the polarity events of a packet of the package."""
    events = None if packet is None else packet.polarity_events
    if events is None:
        return no_events()
    return Columns(
        events["t"].astype(np.int64),
        np.ascontiguousarray(events["x"]),
        np.ascontiguousarray(events["y"]),
        events["on"].astype(np.bool_),
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
        LiveError: it cannot look, as where a machine has no USB.
    """
    drivers = package()
    try:
        found = drivers.list_devices()
    except RuntimeError as error:
        raise LiveError(
            f"neuromorphic-drivers cannot look for cameras ({reason_of(error)}); is there USB?"
        ) from error
    names = {drivers.Name[module.upper()]: model for model, module in MODELS.items()}
    return [
        Listed(
            model=names.get(each.name, each.name.value),
            name=each.name.value,
            serial=each.serial or "",
            connection=each.connection.value,
            trouble=each.error or "",
        )
        for each in found
    ]


def open_neuromorphic(model: str, serial: str, biases: Mapping[str, int]) -> NeuromorphicCamera:
    """Open a camera; empty `model` and `serial` take any.

    Raises:
        ImportError: the package is missing.
        LiveError: there is no such camera, or it cannot be opened.
        SensorError: a bias that the model does not have.
    """
    drivers = package()
    configuration = configuration_of(drivers, model, biases) if biases else None
    if configuration is None and model:
        configuration = getattr(drivers, MODELS[model]).Configuration()
    try:
        driver = drivers.open(
            configuration=configuration,
            iterator_timeout=HEARTBEAT_S,
            raw=model in RAW_EVT3,
            serial=serial or None,
        )
    except RuntimeError as error:
        raise LiveError(f"the camera cannot be opened: {reason_of(error)}") from error
    return NeuromorphicCamera(driver, raw=model in RAW_EVT3)


def configuration_of(drivers: ModuleType, model: str, biases: Mapping[str, int]) -> Any:
    """Return the package's configuration of a model with some biases set.

    Raises:
        SensorError: a bias that the model does not have.
    """
    if model not in MODELS:
        raise SensorError(
            f"biases belong to a model, expected one of {', '.join(MODELS)}, as in "
            "camera:evk4?diff_on=20"
        )
    configuration = getattr(drivers, MODELS[model]).Configuration()
    known = [each.name for each in fields(configuration.biases)]
    for name in biases:
        if name not in known:
            raise SensorError(f"{model} has no bias {name!r}, expected {', '.join(known)}")
    return replace(configuration, biases=replace(configuration.biases, **biases))
