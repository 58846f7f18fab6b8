"""What one writes without Retempo: pyzmq PUSH/PULL, tonic's frames, snnTorch, PUB."""

import struct
import time

import numpy as np
import zmq

from benchmarks.performance.paces import Arrival, Pace, closing_s, save, sleep_until
from benchmarks.performance.processes import say_ready
from retempo.sensors.collect import read_all
from retempo.sensors.files import open_recording

_EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
# A stream's number and the end of a bin.
_KEY = struct.Struct("<iq")
_LAST = -1
_SIZE = (17, 17, 2)


def plain_publish(endpoint: str, out: str, *paths: str) -> None:
    """Send the events of each bin in one message, the moment the bin is over."""
    context = zmq.Context()
    socket = _unbounded(context, zmq.PUSH)
    socket.connect(endpoint)
    paces: dict[str, Pace] = {}
    for number, path in enumerate(paths):
        chunk = read_all(open_recording(path))
        events = np.empty(len(chunk), _EVENT)
        events["t"], events["x"], events["y"], events["p"] = chunk.t_us, chunk.x, chunk.y, chunk.on
        first, last = int(events["t"][0]), int(events["t"].max())
        bins = np.arange(first // 1_000, last // 1_000 + 2) * 1_000
        edges = np.searchsorted(events["t"], bins)
        pace = (time.monotonic(), first, last)
        for k, end_us in enumerate(bins[1:].tolist()):
            sleep_until(closing_s(pace, end_us))
            part = events[edges[k] : edges[k + 1]]
            socket.send_multipart([_KEY.pack(number, end_us), part.tobytes()])
        paces[str(number)] = pace
    socket.send_multipart([_KEY.pack(_LAST, 0), b""])
    socket.close()
    context.term()
    save(out, paces)


def plain_loop(endpoint: str, decisions: str) -> None:
    """Bin and step whatever comes, and publish the label."""
    import snntorch
    import torch
    from tonic.transforms import ToFrame
    from torch import nn

    torch.set_num_threads(1)
    context = zmq.Context()
    feed, published = _unbounded(context, zmq.PULL), _unbounded(context, zmq.XPUB)
    feed.bind(endpoint)
    published.bind(decisions)
    frames = ToFrame(sensor_size=_SIZE, n_time_bins=1)
    f1, f2, f3 = nn.Linear(578, 128), nn.Linear(128, 128), nn.Linear(128, 10)
    r1 = snntorch.RLeaky(beta=0.95, linear_features=128)
    r2 = snntorch.RLeaky(beta=0.95, linear_features=128)
    out = snntorch.Leaky(beta=0.95, reset_mechanism="none")
    nothing = np.zeros((1, 2, 17, 17), np.int16)
    say_ready()
    published.recv()
    with torch.inference_mode():
        (s1, m1), (s2, m2), mo = r1.init_rleaky(), r2.init_rleaky(), out.init_leaky()
        while True:
            key, body = feed.recv_multipart()
            if _KEY.unpack(key)[0] == _LAST:
                break
            events = np.frombuffer(body, _EVENT).copy()
            events["x"] //= 2
            events["y"] //= 2
            frame = frames(events) if len(events) else nothing
            x = torch.from_numpy(frame.reshape(1, -1).astype(np.float32))
            s1, m1 = r1(f1(x), s1, m1)
            s2, m2 = r2(f2(s1), s2, m2)
            _, mo = out(f3(s2), mo)
            published.send_multipart([key, str(int(mo.argmax())).encode()])
    published.send_multipart([_KEY.pack(_LAST, 0), b""])
    feed.close()
    published.close()
    context.term()


def plain_listen(decisions: str, out: str) -> None:
    """Wait for labels."""
    context = zmq.Context()
    socket = _unbounded(context, zmq.SUB)
    socket.subscribe(b"")
    socket.connect(decisions)
    say_ready()
    arrivals: list[Arrival] = []
    while True:
        key, _ = socket.recv_multipart()
        now_s = time.monotonic()
        number, end_us = _KEY.unpack(key)
        if number == _LAST:
            break
        arrivals.append((str(number), end_us, now_s))
    socket.close()
    context.term()
    save(out, arrivals)


def _unbounded(context: "zmq.Context[zmq.Socket[bytes]]", kind: int) -> "zmq.Socket[bytes]":
    """A socket without high-water marks: beyond them it drops messages, the last one too.

    A bound one that is full when its peer closes loses what the kernel still holds.
    """
    socket = context.socket(kind)
    socket.set(zmq.SNDHWM, 0)
    socket.set(zmq.RCVHWM, 0)
    return socket
