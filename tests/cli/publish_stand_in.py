"""Run a command line on a machine whose only camera plays a recording; for tests of `camera:`.

python -m tests.cli.publish_stand_in RECORDING WxH DROPPED publish camera: --to ...
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import neuromorphic_drivers as nd

from retempo.cli.app import run
from retempo.sensors.cameras import dv, neuromorphic
from retempo.sensors.collect import read_all
from retempo.sensors.files import open_recording
from tests.sensors.cameras.stand_in import StandIn


def package(recording: Path, size: tuple[int, int], dropped: int) -> Any:
    """A package of drivers with one DVXplorer; it gives nothing more behind the recording."""
    events = read_all(open_recording(recording))

    def open_camera(**options: object) -> StandIn:
        assert (options["serial"], options["raw"]) == ("00050423", False)
        assert isinstance(options["configuration"], nd.inivation_dvxplorer.Configuration)
        stand_in = StandIn(events, "dvxplorer", size, at_end=lambda: sys.stderr.write("played\n"))
        stand_in.dropped = [dropped] * len(stand_in._ends)
        return stand_in

    listed = nd.ListedDevice(
        name=nd.Name.INIVATION_DVXPLORER,
        connection=nd.Connection.USB_SUPER,
        address="",
        serial="00050423",
        error=None,
    )
    modules = {module: getattr(nd, module) for module in neuromorphic.MODELS.values()}
    return SimpleNamespace(list_devices=lambda: [listed], open=open_camera, Name=nd.Name, **modules)


def main() -> None:
    recording, size, dropped, *arguments = sys.argv[1:]
    width, height = map(int, size.split("x"))
    drivers = package(Path(recording), (width, height), int(dropped))
    neuromorphic.package = lambda: drivers

    def no_cameras() -> Any:
        return SimpleNamespace(io=SimpleNamespace(camera=SimpleNamespace(discover=list)))

    dv.package = no_cameras
    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
