"""`dv:` sources: the TCP stream of dv-processing, read by the package's own reader."""

from retempo.sensors.cameras.camera import reason_of
from retempo.sensors.cameras.dv import DvDevice, package
from retempo.sensors.errors import LiveError, SensorError
from retempo.sensors.events import Source
from retempo.sensors.geometry import Geometry
from retempo.sensors.live.chunk_queue import OVERLOADS
from retempo.sensors.live.options import one_of, read_address, read_options
from retempo.sensors.live.stream import LiveStream

EXAMPLE = "dv://127.0.0.1:7777"


def open_dv(rest: str, geometry: Geometry | None) -> Source:
    """Open `dv://HOST:PORT`, which connects there.

    Options: `silence=host|sensor`, `overload`.

    Raises:
        LiveError: nobody listens there, it sends no events, or dv-processing is missing.
        SensorError: no address, or an unknown or unfit option.
    """
    where, _, query = rest.partition("?")
    address = read_address(where, EXAMPLE)
    readers = {"silence": one_of("host", "sensor"), "overload": one_of(*OVERLOADS)}
    options = read_options(query, readers, EXAMPLE)
    if geometry is not None:
        raise SensorError(f"dv:{rest} tells its own sensor, got the geometry {geometry}")
    try:
        reader = package().io.NetworkReader(address.host or "127.0.0.1", address.port)
    except ImportError as error:
        raise LiveError(f"dv:{rest} needs dv-processing; pip install 'retempo[camera]'") from error
    except RuntimeError as error:
        raise LiveError(
            f"cannot connect to {address}: {reason_of(error)}; does a dv-processing server send "
            "there?"
        ) from error
    foresees = options.get("silence", "host") == "host"
    device = DvDevice(reader, f"dv://{address}", ends=True, foresees=foresees)
    return LiveStream(device, options.get("overload", "shed_oldest"))
