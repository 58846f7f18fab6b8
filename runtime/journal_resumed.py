"""Streams that a journal takes up in their midst: what they stand at, and a pipeline that does.

A stream whose model was swapped, or that came from a checkpoint, began in no record of the session.
It is taken up with its whole state, as a checkpoint keeps it.
"""

from dataclasses import dataclass

from retempo.runtime.checkpoint import (
    Checkpoint,
    StreamEntry,
    decode_checkpoint,
    described,
    encode_checkpoint,
)
from retempo.runtime.checkpoint_identity import identity_of
from retempo.runtime.deployment import Deployment
from retempo.runtime.errors import CheckpointError
from retempo.runtime.feed_stream import FeedStream
from retempo.runtime.stream_saved import load_stream
from retempo.sensors.wire_header import geometry_header


@dataclass(slots=True)
class Awaited:
    """A stream that is taken up as soon as it goes on by `served` alone.

    `steps` is how many it had taken when that was first seen, None before; with `whole` it is so
    from the beginning.
    """

    stream: FeedStream
    served: Deployment
    whole: bool = False
    steps: int | None = None

    def ready(self) -> bool:
        """Whether nothing that the stream holds is the model's before; ask between two messages.

        The bin decided last is, until another has been.
        """
        pipeline = self.stream.pipeline
        if self.whole:
            return True
        if pipeline.handing_over or pipeline.engine is not self.served.engine:
            return False
        steps = pipeline.counters.steps
        if self.steps is None:
            self.steps = steps
        label = pipeline.deciding.place(0).label
        known = not label or label in pipeline.deciding.by.labels
        return not steps or (steps > self.steps and known)


def stand_of(awaited: Awaited) -> bytes:
    """Return what a stream stands at between two messages, as a checkpoint of it alone.

    Raises:
        EngineError: the network left the finite numbers.
    """
    stream = awaited.stream
    # Who resumes it here needs no place in the sender's messages.
    entry = StreamEntry(
        name=stream.name,
        epoch=stream.epoch,
        geometry=geometry_header(stream.geometry),
        stepped=-1,
        expected=0,
        sent=0,
        lost=0,
        missing=0,
        duplicates=0,
        rung=0,
        run=stream.run,
    )
    saved = described(entry, stream.pipeline.save())
    return b"".join(encode_checkpoint(Checkpoint(identity_of(awaited.served), (saved,))))


def stream_at(content: bytes, deployment: Deployment) -> FeedStream:
    """Return a stream that goes on where one stood.

    Raises:
        CheckpointError: it stood under other settings or another engine, or is none.
    """
    checkpoint = decode_checkpoint(content)
    if checkpoint.identity != identity_of(deployment) or len(checkpoint.streams) != 1:
        raise CheckpointError(
            f"it goes on from a state of the engine {checkpoint.identity.engine}, which "
            f"{deployment.engine.name} with these settings cannot take; leave out --engine"
        )
    return load_stream(checkpoint.streams[0], deployment)
