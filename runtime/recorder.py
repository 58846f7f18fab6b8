"""Who is told what is done to streams, at the moment it is done: a journal, or nobody."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from retempo.runtime.deployment import Deployment
from retempo.runtime.feed_stream import FeedStream, Waiting
from retempo.sensors.wire_header import Buffer


class Recorder(Protocol):
    """Writes down what a server does. It never fails and never waits.

    A stream is known by its name: of each at most one is open.
    """

    @property
    def keeps_frames(self) -> bool:
        """Whether messages are to be kept as they came until they are taken."""
        ...

    def opened(self, stream: str, header: Buffer, epoch: int) -> None:
        """A stream has been opened by the message of that header; decisions carry `epoch`."""
        ...

    def taken(self, stream: str, message: Waiting) -> None:
        """A stream takes a message."""
        ...

    def shed(self, stream: str, messages: Sequence[Waiting], *, reset: bool) -> None:
        """A stream leaves messages out."""
        ...

    def changed(self, stream: str, dt_us: int) -> None:
        """A stream takes another time step."""
        ...

    def ended(self, stream: str) -> None:
        """A stream is finished."""
        ...

    def failed(self, stream: str, reason: str) -> None:
        """A stream goes no further."""
        ...

    def swapped(self, new: Deployment, streams: Iterable[FeedStream]) -> None:
        """All streams that are open go on by another model or time step."""
        ...

    def restored(self, stream: FeedStream, served: Deployment) -> None:
        """A stream has come from a checkpoint."""
        ...


class Nobody:
    """A recorder that records nothing."""

    keeps_frames = False

    def opened(self, stream: str, header: Buffer, epoch: int) -> None:
        """See `Recorder`."""

    def taken(self, stream: str, message: Waiting) -> None:
        """See `Recorder`."""

    def shed(self, stream: str, messages: Sequence[Waiting], *, reset: bool) -> None:
        """See `Recorder`."""

    def changed(self, stream: str, dt_us: int) -> None:
        """See `Recorder`."""

    def ended(self, stream: str) -> None:
        """See `Recorder`."""

    def failed(self, stream: str, reason: str) -> None:
        """See `Recorder`."""

    def swapped(self, new: Deployment, streams: Iterable[FeedStream]) -> None:
        """See `Recorder`."""

    def restored(self, stream: FeedStream, served: Deployment) -> None:
        """See `Recorder`."""
