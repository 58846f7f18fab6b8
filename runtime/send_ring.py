"""What a sender keeps of a stream: messages that the daemon may yet ask for again."""

from collections import deque
from dataclasses import dataclass, field

from retempo.sensors.wire import Cursor, Frames

RING_BYTES = 64 * 2**20
# The header, and what Python keeps beside a message.
OVERHEAD_BYTES = 512


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """An encoded events message; `at` is where the stream stood before it."""

    at: Cursor
    frames: Frames

    @property
    def size(self) -> int:
        """Bytes that it is counted with."""
        return OVERHEAD_BYTES + memoryview(self.frames[1]).nbytes


@dataclass(slots=True)
class SendRing:
    """Encoded messages by their sequence, without gaps, bounded in bytes.

    What is durable at the daemon is forgotten. What is acknowledged but not durable is forgotten,
    oldest first, where the room is needed, and counted in `forgotten`. What is not acknowledged is
    never forgotten: there is no room until it is.

    `limit_bytes` is kept but for one message, which there is always room for.
    """

    limit_bytes: int = RING_BYTES
    acknowledged: int = -1
    forgotten: int = 0
    held_bytes: int = 0
    _kept: deque[Kept] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def oldest(self) -> Cursor | None:
        """Where the oldest message begins that is still held, None without any."""
        return self._kept[0].at if self._kept else None

    def holds(self, sequence: int) -> bool:
        """Whether a message can be sent again."""
        return bool(self._kept) and 0 <= sequence - self._kept[0].at.sequence < len(self._kept)

    def get(self, sequence: int) -> Kept:
        """Return a message that is held."""
        return self._kept[sequence - self._kept[0].at.sequence]

    def make_room(self, size: int) -> bool:
        """Whether a message of `size` bytes may be added; forgets what it may for that."""
        while self._kept and self.held_bytes + size > self.limit_bytes:
            if self._kept[0].at.sequence > self.acknowledged:
                return False
            self._drop()
            self.forgotten += 1
        return True

    def add(self, kept: Kept) -> None:
        """Keep the message that follows the newest."""
        self._kept.append(kept)
        self.held_bytes += kept.size

    def settle(self, acknowledged: int, durable: int) -> None:
        """Take the daemon's word for what it has stepped, and for what no restart undoes.

        After a restart `acknowledged` may have fallen back.
        """
        self.acknowledged = acknowledged
        while self._kept and self._kept[0].at.sequence <= min(durable, acknowledged):
            self._drop()

    def _drop(self) -> None:
        self.held_bytes -= self._kept.popleft().size
