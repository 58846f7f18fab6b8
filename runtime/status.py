"""What a daemon says of itself when it is asked: plain data, taken in one look."""

from typing import Any

import msgspec

from retempo.runtime.feed_server import FeedServer
from retempo.runtime.feed_stream import FeedStream


class ModelStatus(msgspec.Struct, frozen=True):
    """The model that new streams are decided by, and what steps it."""

    name: str
    sha256: str
    dt_us: int
    method: str
    normalisation: str
    engine: str
    why: str


class StreamStatus(msgspec.Struct, frozen=True):
    """An open stream; `model` and `dt_us` are those that step it now."""

    stream: str
    epoch: int
    geometry: str
    stepped: int
    waiting: int
    model: str
    dt_us: int
    handing_over: bool
    counters: dict[str, int]


class ServerStatus(msgspec.Struct, frozen=True):
    """All of it; `report` sums up the streams that have ended."""

    uptime_s: float
    swapping: bool
    model: ModelStatus
    streams: list[StreamStatus]
    report: dict[str, Any]


def status_of(server: FeedServer, uptime_s: float, *, swapping: bool) -> ServerStatus:
    """Return what a server is doing."""
    engine = server.deployment.engine
    resolution, model = engine.resolution, engine.model
    return ServerStatus(
        uptime_s=round(uptime_s, 3),
        swapping=swapping,
        model=ModelStatus(
            name=model.name,
            sha256=model.sha256,
            dt_us=resolution.dt_us,
            method=resolution.method,
            normalisation=resolution.normalisation,
            engine=engine.name,
            why=engine.why,
        ),
        streams=[_of(stream) for stream in server.streams.values()],
        report=msgspec.to_builtins(server.report),
    )


def _of(stream: FeedStream) -> StreamStatus:
    pipeline = stream.pipeline
    return StreamStatus(
        stream=stream.name,
        epoch=stream.epoch,
        geometry=str(stream.geometry),
        stepped=stream.stepped,
        waiting=len(stream.waiting),
        model=pipeline.engine.model.identity,
        dt_us=pipeline.state.resolution.dt_us,
        handing_over=pipeline.handing_over,
        counters=pipeline.counters.as_dict(),
    )
