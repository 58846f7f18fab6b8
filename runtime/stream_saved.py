"""An open stream as a checkpoint keeps it, as of the message that was stepped last."""

from retempo.runtime.checkpoint import SavedStream, StreamEntry, described
from retempo.runtime.deployment import Deployment
from retempo.runtime.errors import CheckpointError, RunError
from retempo.runtime.feed import Inbox
from retempo.runtime.feed_stream import FeedStream
from retempo.runtime.overload import Rung
from retempo.sensors.errors import SensorError
from retempo.sensors.wire_header import geometry_header, header_geometry


def save_stream(stream: FeedStream) -> SavedStream:
    """Return a copy of a stream between two messages; what waits of it is sent again.

    Raises:
        EngineError: the network left the finite numbers.
    """
    place = stream.inbox if stream.place is None else stream.place
    entry = StreamEntry(
        name=stream.name,
        epoch=stream.epoch,
        geometry=geometry_header(stream.geometry),
        stepped=stream.stepped,
        expected=place.expected,
        sent=place.sent,
        lost=place.lost,
        missing=place.missing,
        duplicates=place.duplicates,
        rung=stream.rung.index,
        run=stream.run,
    )
    return described(entry, stream.pipeline.save())


def load_stream(saved: SavedStream, deployment: Deployment) -> FeedStream:
    """Open a stream that goes on where a saved one stood, without a sender.

    Raises:
        CheckpointError: it is the stream of another deployment.
    """
    entry = saved.entry
    try:
        geometry = header_geometry(entry.geometry)
        pipeline = deployment.open(entry.name, geometry)
        pipeline.load(saved.state)
    except (RunError, SensorError) as error:
        raise CheckpointError(f"the stream {entry.name!r} cannot be restored: {error}") from error
    if entry.expected not in (entry.stepped + 1, 0):
        raise CheckpointError(
            f"the stream {entry.name!r} stands at message {entry.stepped} and expects "
            f"{entry.expected}"
        )
    if entry.rung >= max(1, len(deployment.ladder)):
        raise CheckpointError(
            f"the stream {entry.name!r} stands on rung {entry.rung}, which is none"
        )
    inbox = Inbox(entry.expected, entry.sent, entry.lost, entry.duplicates, entry.missing)
    return FeedStream(
        name=entry.name,
        epoch=entry.epoch,
        owner=b"",
        geometry=geometry,
        pipeline=pipeline,
        inbox=inbox,
        stepped=entry.stepped,
        rung=_rung(entry.rung, deployment),
        durable=entry.stepped,
        run=entry.run,
        place=Inbox(entry.expected, entry.sent, entry.lost, entry.duplicates, entry.missing),
    )


def _rung(index: int, deployment: Deployment) -> Rung:
    """Return the rung as if it had just been taken: the clock of before tells nothing now."""
    if not index:
        return Rung()
    calm_us = float(deployment.overload.calm_us)
    return Rung(index, deployment.clock_us(), patience_us=calm_us)
