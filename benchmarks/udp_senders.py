"""The real senders of address events over UDP, and what our source makes of their datagrams.

    python -m benchmarks.udp_senders [--aestream PATH] [--recording FILE.aedat4] [--write FOLDER]

AEStream's program and the faery package send the same events over the loopback. `--write` keeps the
datagrams as test vectors; `--recording` sends a whole recording instead, as a check of volume.
"""

import argparse
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import faery
import numpy as np

from retempo.sensors.collect import read_all
from retempo.sensors.files import open_recording
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.network.aer import LAYOUTS, NO_TIME, decode_datagrams

GRID = GridGeometry(346, 260)
SILENCE_S = 1.0
FAERY = faery.EVENTS_DTYPE


def vector_events() -> np.ndarray:
    """Forty events at all corners of the sensor, times a little beyond 2^32."""
    rng = np.random.default_rng(4)
    events = np.zeros(40, FAERY)
    events["t"] = 2**32 - 1_000 + np.sort(rng.integers(0, 2_000, 40))
    events["x"] = rng.integers(0, GRID.width, 40)
    events["y"] = rng.integers(0, GRID.height, 40)
    events["x"][:4] = [0, GRID.width - 1, 0, GRID.width - 1]
    events["y"][:4] = [0, 0, GRID.height - 1, GRID.height - 1]
    events["on"] = rng.random(40) < 0.5
    return events


def received(send: Callable[[int], object]) -> list[bytes]:
    """Let somebody send to a port of ours, and return the datagrams until it is silent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        sock.bind(("127.0.0.1", 0))
        send(sock.getsockname()[1])
        sock.settimeout(SILENCE_S)
        return list(_until_silent(sock))


def _until_silent(sock: socket.socket) -> Iterator[bytes]:
    try:
        while True:
            yield sock.recv(65_536)
    except TimeoutError:
        return


def by_aestream(program: str, path: Path) -> list[bytes]:
    def send(port: int) -> None:
        command = [program, "input", "file", str(path), "output", "udp", "127.0.0.1", str(port)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    return received(send)


def by_faery(events: np.ndarray, layout: str) -> list[bytes]:
    from faery import udp_encoder

    return received(lambda port: udp_encoder.encode([events], ("127.0.0.1", port), format=layout))


def write_aedat4(events: np.ndarray, path: Path) -> None:
    stream = faery.events_stream_from_array(events, (GRID.width, GRID.height))
    stream.to_file(path)


def agrees(layout: str, datagrams: list[bytes], events: np.ndarray) -> bool:
    columns = decode_datagrams(LAYOUTS[layout], datagrams)
    times = columns.t_us
    if layout == "aer":
        timed = bool((times == NO_TIME).all())
    else:
        wrap = np.uint64(1) << np.uint64(min(LAYOUTS[layout].bits, 63))
        timed = bool((times.astype(np.uint64) == events["t"] % wrap).all())
    return (
        timed
        and not columns.problems
        and bool((columns.x == events["x"]).all())
        and bool((columns.y == events["y"]).all())
        and bool((columns.on == events["on"]).all())
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aestream", default="aestream", help="AEStream's program")
    parser.add_argument("--recording", type=Path, help="an AEDAT 4 file to send instead")
    parser.add_argument("--write", type=Path, help="where to keep the datagrams")
    options = parser.parse_args()
    events = vector_events()
    path = options.recording
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            path = Path(folder) / "vector.aedat4"
            write_aedat4(events, path)
        else:
            whole = read_all(open_recording(path))
            events = np.zeros(len(whole), FAERY)
            for name, column in zip(
                FAERY.names or (), (whole.t_us, whole.x, whole.y, whole.on), strict=True
            ):
                events[name] = column
        sent = {"aer": by_aestream(options.aestream, path)}
    for layout in ("t64_x16_y16_on8", "t32_x16_y15_on1"):
        sent[layout] = by_faery(events, layout)
    print("| layout | sender | events | datagrams | same |")
    print("|---|---|---|---|---|")
    for layout, datagrams in sent.items():
        sender = "aestream" if layout == "aer" else "faery"
        same = agrees(layout, datagrams, events)
        print(f"| {layout} | {sender} | {len(events):,} | {len(datagrams):,} | {same} |")
        if options.write is not None:
            (options.write / f"{layout}.bin").write_bytes(b"".join(datagrams))
    if options.write is not None:
        np.save(options.write / "events.npy", events)


if __name__ == "__main__":
    main()
