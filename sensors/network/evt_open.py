"""`tcp+evt:` texts: an address, a version, and what the sender's header need not tell."""

from collections.abc import Callable
from functools import partial

from retempo.sensors.errors import SensorError
from retempo.sensors.events import Source
from retempo.sensors.evt import Version
from retempo.sensors.geometry import Geometry, GridGeometry
from retempo.sensors.live.chunk_queue import OVERLOADS
from retempo.sensors.live.options import one_of, read_address, read_options, size, whole
from retempo.sensors.live.stream import LiveStream
from retempo.sensors.network.evt_tcp import EXAMPLE, EvtDevice, Wanted
from retempo.sensors.network.tcp import Peer

VERSIONS: dict[str, Version | None] = {
    "tcp+evt": None,
    "tcp+evt2": "2",
    "tcp+evt21": "2.1",
    "tcp+evt3": "3",
}
_LONGEST_S = 86_400


def open_evt_tcp(
    version: Version | None, scheme: str, rest: str, geometry: Geometry | None
) -> Source:
    """Open `tcp+evt3://HOST:PORT`, which connects there, or listens there with `mode=listen`.

    Options: `size`, `mode=connect|listen`, `reconnect` in seconds, `order` of an EVT2.1 sender
    without a header, `overload`.

    Raises:
        LiveError: nobody listens there, or the header that is needed does not come.
        SensorError: no address, or an unknown or unfit option.
    """
    where, _, query = rest.partition("?")
    address = read_address(where, EXAMPLE)
    options = read_options(
        query,
        {
            "size": size,
            "mode": one_of("connect", "listen"),
            "reconnect": whole(0, _LONGEST_S),
            "order": one_of("little", "big", "legacy"),
            "overload": one_of(*OVERLOADS),
        },
        EXAMPLE,
    )
    grid = options.get("size", geometry)
    if grid is not None and not isinstance(grid, GridGeometry):
        raise SensorError(f"{scheme}:{rest} is a camera, got the geometry {grid}; give a grid")
    text = f"{scheme}://{address}"
    peer = Peer(address, listens=options.get("mode") == "listen")
    try:
        peer.meet_first()
        device = EvtDevice(
            peer,
            Wanted(text, version, options.get("order", "little"), grid),
            reconnect_s=float(options.get("reconnect", 0)),
        )
    except BaseException:
        peer.close()
        raise
    return LiveStream(device, options.get("overload", "block"))


def opener(scheme: str) -> Callable[[str, Geometry | None], Source]:
    """Return the function that opens the texts of one of the schemes of `VERSIONS`."""
    return partial(open_evt_tcp, VERSIONS[scheme], scheme)


def example(scheme: str) -> str:
    """Return an example of a scheme's text."""
    return f"{scheme}://127.0.0.1:7000" + ("" if scheme == "tcp+evt" else "?size=1280x720")
