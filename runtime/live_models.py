"""The chores of a daemon whose model can be swapped and that can be asked."""

from collections.abc import Callable

from retempo.runtime.control import Control
from retempo.runtime.daemon import Chore, Stop
from retempo.runtime.event_log import EventLog
from retempo.runtime.feed_server import FeedServer
from retempo.runtime.model_source import ModelSource
from retempo.runtime.swapping import Swapping


def model_chores(
    source: ModelSource, log: EventLog, control: str | None, stop: Stop
) -> list[Callable[[FeedServer], Chore]]:
    """Return what makes the chores: the swap on SIGHUP and, where it is bound, the control socket.

    Args:
        source: where models come from.
        log: of the daemon.
        control: the endpoint of the control socket, None for none.
        stop: ends the daemon.
    """
    swapping: list[Swapping] = []

    def swap(server: FeedServer) -> Chore:
        swapping.append(Swapping(server, log, source.reread, source.stop))
        return swapping[0]

    def listen(server: FeedServer) -> Chore:
        assert control is not None  # noqa: S101
        return Control(
            *(server, log, control, swapping[0]), source.named, source.reread, stop.request
        )

    return [swap] if control is None else [swap, listen]
