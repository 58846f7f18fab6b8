"""`tcp+evt:` sources: the bytes of a Prophesee sensor, EVT2, EVT2.1 or EVT3, over TCP.

Whoever sends may begin with the header of a `.raw` file. The sensor's words tell its time in
silence too, so that the host's clock is not asked for it.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retempo.sensors.columns import AnyColumns, no_events
from retempo.sensors.errors import LiveError, RecordingError
from retempo.sensors.events import Clock
from retempo.sensors.evt import ByteOrder, Coding, Version
from retempo.sensors.files.evt import coding_of, grid_of
from retempo.sensors.geometry import GridGeometry
from retempo.sensors.live.device import Arrival
from retempo.sensors.live.evt_words import EvtWords
from retempo.sensors.network.tcp import Peer

EXAMPLE = "tcp+evt3://127.0.0.1:7000?size=1280x720"
_PIECE_BYTES = 1 << 18
_MOST_HEADER_BYTES = 1 << 16
# A header, or its absence, shows within so long.
_PATIENCE_S = 5.0
# A lone percent sign may be the lower half of a word.
_HEADER = b"% "
# The header's end is known once a line begins that is none of it.
_PLAIN_LINE = re.compile(rb"(?:^|\n)(?:% end\r?\n|[^%])")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the source's text says; what it leaves open, the sender's header has to tell."""

    text: str
    version: Version | None = None
    order: ByteOrder = "little"
    grid: GridGeometry | None = None


class EvtDevice:
    """A TCP connection that carries EVT words, as a device.

    The peer's orderly close ends the stream, or begins it anew with the next connection where it
    is to be awaited for `reconnect_s`.

    Raises:
        LiveError: a header is needed and does not come, or it contradicts what was wanted.
    """

    clock: Clock = "sensor"
    foresees = False

    def __init__(
        self,
        peer: Peer,
        wanted: Wanted,
        *,
        reconnect_s: float = 0.0,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peer = peer
        self._wanted = wanted
        self._reconnect_s = reconnect_s
        self._clock_s = clock_s
        self._words: EvtWords | None = None
        self._head = b""
        self._gone_s: float | None = None
        self._fresh = False
        self.name = wanted.text
        # Events that came with the header; the first read hands them on.
        self._early: AnyColumns = no_events()
        self._told: tuple[GridGeometry, Version] | None = None
        self.geometry, version = self._meet()
        self.about = f"EVT {version} words of {peer}, {self.geometry}"

    def read(self, timeout_s: float) -> Arrival:
        """Take the bytes that have come; without a connection, try for one.

        Raises:
            LiveError: the connection broke, or its header is another sensor's.
        """
        early, self._early = self._early, no_events()
        if len(early) or early.problems:
            return self._arrival(early, came=True)
        if self._gone_s is not None:
            return self._await_peer(timeout_s)
        try:
            data = self._peer.receive(timeout_s, _PIECE_BYTES)
        except LiveError:
            if not self._reconnect_s:
                raise
            data = b""
        if data is None:
            return self._arrival(no_events(), came=False)
        if data:
            return self._arrival(self._decode(data), came=True)
        return self._closed()

    def close(self) -> None:
        """Close the connection."""
        self._peer.close()

    def _meet(self) -> tuple[GridGeometry, Version]:
        """Wait for what has to be known before the stream can be opened."""
        wanted = self._wanted
        if wanted.grid is not None and wanted.version is not None:
            self._told = wanted.grid, wanted.version
            return self._told
        until_s = self._clock_s() + _PATIENCE_S
        while self._told is None:
            data = self._peer.receive(max(0.0, until_s - self._clock_s()), _PIECE_BYTES)
            if not data:
                ended = "closed" if data == b"" else f"said nothing within {_PATIENCE_S:g} s"
                raise LiveError(
                    f"{wanted.text}: the sender {ended} before its header; give what it would "
                    f"tell, as in {EXAMPLE}"
                )
            self._early = self._decode(data)
        return self._told

    def _decode(self, data: bytes) -> AnyColumns:
        if self._words is not None:
            return self._words.feed(data)
        self._head += data
        begun = self._head.startswith(_HEADER[: len(self._head)])
        may_grow = begun and len(self._head) < _MOST_HEADER_BYTES
        if may_grow and _PLAIN_LINE.search(self._head) is None:
            return no_events()
        coding, grid, header_bytes = self._understood(self._head)
        self._told = grid, coding.version
        self._words = EvtWords(coding)
        rest, self._head = self._head[header_bytes:], b""
        return self._words.feed(rest)

    def _understood(self, head: bytes) -> tuple[Coding, GridGeometry, int]:
        """Return how the words are to be read, whose they are, and how long the header is."""
        wanted = self._wanted
        if not head.startswith(_HEADER):
            if wanted.version is None or wanted.grid is None:
                raise LiveError(
                    f"{wanted.text}: the sender begins without a header; give what it would tell, "
                    f"as in {EXAMPLE}"
                )
            return Coding(wanted.version, wanted.order), wanted.grid, 0
        try:
            coding, header = coding_of(Path(wanted.text), head)
        except RecordingError as error:
            raise LiveError(str(error)) from error
        if wanted.version not in (None, coding.version):
            raise LiveError(
                f"{wanted.text}: the sender's header states EVT {coding.version}, expected EVT "
                f"{wanted.version}; give the scheme tcp+evt, which takes what comes"
            )
        grid = wanted.grid or grid_of(header)
        if grid is None:
            raise LiveError(
                f"{wanted.text}: the sender's header states no sensor; give its size, as in "
                f"{EXAMPLE}"
            )
        if self._told is not None and grid != self._told[0]:
            raise LiveError(
                f"{wanted.text}: the sender was {self._told[0]} and is {grid} since it connected "
                "anew; start again"
            )
        return coding, grid, header.size

    def _closed(self) -> Arrival:
        if self._head and not self._reconnect_s:
            raise LiveError(f"{self.name}: the sender closed within its header")
        unfinished = no_events() if self._words is None else self._words.finish()
        self._words, self._head = None, b""
        if not self._reconnect_s:
            return self._arrival(unfinished, came=True, last=True)
        self._gone_s = self._clock_s()
        self._peer.leave()
        return self._arrival(unfinished, came=True)

    def _await_peer(self, timeout_s: float) -> Arrival:
        assert self._gone_s is not None  # noqa: S101  (asked by who calls)
        if self._peer.meet(timeout_s):
            self._gone_s, self._fresh = None, True
        elif self._clock_s() - self._gone_s > self._reconnect_s:
            return self._arrival(no_events(), came=False, last=True)
        return self._arrival(no_events(), came=False)

    def _arrival(self, columns: AnyColumns, *, came: bool, last: bool = False) -> Arrival:
        now_us = self._clock_s() * 1e6
        fresh, self._fresh = self._fresh, False
        reached_us = None if self._words is None else self._words.reached_us
        return Arrival(
            columns, now_us, now_us if came else None, reached_us, fresh=fresh, last=last
        )
