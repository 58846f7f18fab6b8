"""64 streams of 2 x 128 neurons at 1 ms into one daemon over ZeroMQ, for minutes.

    python -m benchmarks.reliability.many_streams [--streams 64] [--seconds 600] [--span-ms 4]

One sender process plays all streams at their sensors' pace, a message of each every few
milliseconds; a daemon of its own process decides every bin. Streams are held if the sender is
never long behind its pace: who is not served in time gets no credit. Prints Markdown.
"""

import argparse
import multiprocessing
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import zmq

from benchmarks.performance.made_messages import Made, made, moved
from benchmarks.performance.processes import cpu_s, daemon, memory_mib, scratch
from retempo.demo.assets import MODEL
from retempo.runtime.feed import Credit, Ended, SendWindow, decode_reply
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.pieces import no_events
from retempo.sensors.wire import Cursor, encode_message

GRID = GridGeometry(34, 34)
# Events a second and stream: those of an N-MNIST recording.
RATE_HZ = 13_000
_LATEST_S = 0.25
_MADE = 16
_DRIFT = 0.01
# By then the history of decisions is full, which is the last to grow.
_SETTLE_S = 30.0


@dataclass(slots=True)
class _Camera:
    """One stream: its messages to come, and how far the daemon is with it."""

    name: str
    made: list[Made]
    window: SendWindow = field(default_factory=SendWindow)
    sent: int = 0
    counters: dict[str, int] | None = None


def _camera(number: int, span_us: int) -> _Camera:
    name, events = f"camera{number}", max(1, RATE_HZ * span_us // 1_000_000)
    return _Camera(name, made(name, GRID, _MADE, events, span_us, seed=number))


def _send(feed: str, streams: int, seconds: float, span_us: int, tell: Connection) -> None:
    """Play all streams; tells how late it was at most and what the daemon counted."""
    cameras = {f"camera{k}": _camera(k, span_us) for k in range(streams)}
    with zmq.Context() as context, context.socket(zmq.DEALER) as sock:
        sock.set(zmq.LINGER, 0)
        sock.set(zmq.SNDHWM, 0)
        sock.connect(feed)

        def hear(timeout_ms: int) -> None:
            while sock.poll(timeout_ms):
                reply = decode_reply(sock.recv(), feed)
                timeout_ms = 0
                if isinstance(reply, Credit):
                    cameras[reply.stream].window.acknowledge(reply)
                elif isinstance(reply, Ended):
                    cameras[reply.stream].counters = reply.counters
                else:
                    raise RuntimeError(f"the daemon does not serve: {reply}")

        for camera in cameras.values():
            at = Cursor(camera.name, GRID, 1)
            sock.send_multipart(encode_message("open", no_events(GRID, 0), at))
        while not all(camera.window.room for camera in cameras.values()):
            hear(10_000)
        tell.send("ready")
        rounds, began_s, behind_s = int(seconds * 1e6 / span_us), time.monotonic(), 0.0
        for number in range(rounds):
            due_s = began_s + number * span_us * 1e-6
            while (left_s := due_s - time.monotonic()) > 0:
                hear(max(1, int(left_s * 1e3)))
            for camera in cameras.values():
                while not camera.window.room:
                    hear(10_000)
                header, payload = camera.made[number % _MADE]
                camera.window.send()
                sock.send_multipart([moved(header, number, span_us, camera.sent), payload])
                camera.sent += header.count
            behind_s = max(behind_s, time.monotonic() - due_s)
            hear(0)
        for camera in cameras.values():
            at = Cursor(camera.name, GRID, 1, sequence=rounds, sent=camera.sent)
            sock.send_multipart(encode_message("end", no_events(GRID, rounds * span_us), at))
        while any(camera.counters is None for camera in cameras.values()):
            hear(30_000)
    tell.send((behind_s, [(camera.sent, camera.counters) for camera in cameras.values()]))


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one run."""

    streams: int
    seconds: float
    span_us: int
    sent: int
    lost: int
    bins: int
    behind_s: float
    cores: float
    memory_mib: tuple[float, float]

    @property
    def drift(self) -> float:
        """How much the daemon's memory grew, from shortly after its start to its end."""
        return self.memory_mib[1] / self.memory_mib[0] - 1.0

    @property
    def held(self) -> bool:
        """Whether every bin was decided in time and memory stayed flat."""
        return self.lost == 0 and self.behind_s < _LATEST_S and self.drift < _DRIFT


def run(folder: Path, streams: int, seconds: float, span_us: int) -> Load:
    """Play so many streams for so long to a daemon of its own."""
    lines = [f'model = "{MODEL}"\ndt = "1ms"', 'every = "100ms"', "[engine]", 'name = "sparse"']
    with daemon(folder, lines) as served:
        ours, theirs = multiprocessing.Pipe()
        sender = multiprocessing.Process(
            target=_send, args=(served.feed, streams, seconds, span_us, theirs)
        )
        sender.start()
        assert ours.recv() == "ready"
        began_s = time.monotonic()
        first_mib = memory_mib(served.process.pid)
        before_s = cpu_s(served.process.pid)
        while not ours.poll(1.0):
            if time.monotonic() - began_s < min(_SETTLE_S, seconds / 4):
                first_mib = memory_mib(served.process.pid)
            if time.monotonic() - began_s > 4.0 * seconds + 60.0:
                sender.kill()
                raise RuntimeError("the streams did not end")
        took_s = time.monotonic() - began_s
        cores = (cpu_s(served.process.pid) - before_s) / took_s
        last_mib = memory_mib(served.process.pid)
        behind_s, counted = ours.recv()
        sender.join()
    gone = sum(sent - counters["binned"] for sent, counters in counted)
    return Load(
        streams=streams,
        seconds=seconds,
        span_us=span_us,
        sent=sum(sent for sent, _ in counted),
        lost=gone,
        bins=sum(counters["steps"] for _, counters in counted),
        behind_s=behind_s,
        cores=cores,
        memory_mib=(first_mib, last_mib),
    )


def main() -> int:
    """Play, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.many_streams")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--span-ms", type=float, nargs="+", default=[4.0, 2.0, 1.0])
    arguments = parser.parse_args()
    print(
        f"{arguments.streams} streams of 34x34 pixels with {RATE_HZ:,} events a second each, bins "
        "of 1 ms, 2 x 128 neurons, engine `sparse`; the sender shares the machine. The first row "
        "is the long run, the others look how short a message may be; memory is the daemon's "
        f"resident set {_SETTLE_S:g} s after its start and at its end."
    )
    print(
        "\n| streams | s | message, ms | bins | sent | not binned | behind, ms | daemon, cores "
        "| MiB | drift | held |\n|" + "---|" * 11
    )
    held = True
    for k, span_ms in enumerate(arguments.span_ms):
        seconds = arguments.seconds if k == 0 else min(arguments.seconds, 20.0)
        with scratch() as folder:
            load = run(folder, arguments.streams, seconds, round(span_ms * 1e3))
        held &= load.held or k > 0
        print(
            f"| {load.streams} | {load.seconds:g} | {span_ms:g} | {load.bins:,} | {load.sent:,} "
            f"| {load.lost:,} | {load.behind_s * 1e3:,.0f} | {load.cores:.2f} "
            f"| {load.memory_mib[0]:.0f}, {load.memory_mib[1]:.0f} | {load.drift:+.1%} "
            f"| {'yes' if load.held else 'no'} |",
            flush=True,
        )
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
