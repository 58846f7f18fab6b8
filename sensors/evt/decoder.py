"""EVT decoders that take any piece of bytes: a file's, a socket's or a camera's."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retempo.sensors.byte_decoder import Buffer, ByteDecoder, Carried, whole_records
from retempo.sensors.columns import Columns, join, no_events
from retempo.sensors.errors import RecordingError
from retempo.sensors.evt.clock import BITS_2, BITS_3, MOST_AT_ONCE, UNIT_2, UNIT_3
from retempo.sensors.evt.evt2 import pack_evt2, pack_evt21
from retempo.sensors.evt.evt3 import pack_evt3
from retempo.sensors.evt.packed import Packed, Words, columns_of_packed
from retempo.sensors.evt.state import (
    AWAITED,
    EARLY,
    FIRST,
    FROM,
    HIGH,
    KEPT,
    NONE,
    PROBLEMS,
    SECOND_12,
    THIRD_8,
    TICKS,
    TO,
    WORD,
    Found,
    State,
    new_state,
    nothing_found,
)  # fmt: skip
from retempo.sensors.problems import MEND, NO_PROBLEMS, Policy, Problems, both, problem

Version = Literal["2", "2.1", "3"]
ByteOrder = Literal["little", "big", "legacy"]
Kernel = Callable[[NDArray[Any], int, State, Found, Words], tuple[int, int]]

# A block of packed events stays in the cache of a core; a piece of a file is about one block.
BLOCK_EVENTS = 1 << 16
PIECE_BYTES = 1 << 18

_KERNELS: dict[Version, Kernel] = {"2": pack_evt2, "2.1": pack_evt21, "3": pack_evt3}
_WORD_BYTES: dict[Version, int] = {"2": 4, "2.1": 8, "3": 2}

# What the first problem of a kind says, between the byte and the numbers.
_TEXTS = {
    "time_back": "the time goes back from {before} to {after} us at byte {byte}",
    "time_hole": "the clock jumps from {before} to {after} us at byte {byte}",
    "partial_vector": "the group of vector words before byte {byte} is not whole",
    "partial_continued": "the group of continued words before byte {byte} is not whole",
    "no_base": "the vector word at byte {byte} has no base",
    "no_row": "the event at byte {byte} has no row",
    "unknown": "the word at byte {byte} has the unknown type {before:#x}",
    "outside": "the vector word at byte {byte} reaches beyond the widest sensor",
    "untimed": "the event at byte {byte} follows a time that went back and nothing confirms",
}


@dataclass(frozen=True, slots=True)
class Coding:
    """How the bytes of a stream are to be read.

    `legacy` is the order of EVT2.1 from IMX636 sensors: the upper half of a word comes first, each
    half with its lowest byte first. `t0_us` is added to all times.
    """

    version: Version
    order: ByteOrder = "little"
    t0_us: int = 0

    @property
    def word_bytes(self) -> int:
        """How many bytes a word takes."""
        return _WORD_BYTES[self.version]

    def words(self, data: bytes) -> NDArray[Any]:
        """Return whole words in the order of this machine."""
        if self.order == "legacy":
            halves = np.frombuffer(data, "<u4").reshape(-1, 2).astype(np.uint64)
            return (halves[:, 0] << np.uint64(32)) | halves[:, 1]
        stored = np.dtype(f"{'>' if self.order == 'big' else '<'}u{self.word_bytes}")
        return np.frombuffer(data, stored).astype(stored.newbyteorder("="), copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """What is carried from piece to piece; `packed` is reused for every block."""

    numbers: State
    packed: Words
    carried: Carried


def start(block_events: int = BLOCK_EVENTS) -> Running:
    """Return the state before the first byte."""
    return Running(new_state(), np.empty(block_events + MOST_AT_ONCE, np.int64), Carried())


def blocks_of(
    coding: Coding, running: Running, words: NDArray[Any], found: Found, kernel: Kernel
) -> Iterator[Packed]:
    """Decode words block by block; a block is valid until the next is asked for.

    Writes to the numbers of `running` and to `found`.
    """
    bits, unit = (BITS_3, UNIT_3) if coding.version == "3" else (BITS_2, UNIT_2)
    place, before = 0, 0
    while place < len(words):
        base_us = max(int(running.numbers[HIGH]), 0) >> bits << (bits + unit)
        clean = found[FIRST] == NONE
        place, events = kernel(words, place, running.numbers, found, running.packed)
        if clean and found[FIRST] != NONE:
            found[KEPT] += before
        before += events
        yield Packed(running.packed[:events], base_us + coding.t0_us)


def problems_of(coding: Coding, found: Found, offset: int) -> Problems:
    """Return what a kernel has found in words that begin at a byte of the stream."""
    if found[FIRST] == NONE:
        return NO_PROBLEMS
    kind = PROBLEMS[found[FIRST]]
    byte = offset + int(found[WORD]) * coding.word_bytes
    t0_us = coding.t0_us if kind in ("time_back", "time_hole") else 0
    text = _TEXTS[kind].format(
        byte=byte, before=int(found[FROM]) + t0_us, after=int(found[TO]) + t0_us
    )
    counts = {name: int(found[k]) for k, name in enumerate(PROBLEMS) if found[k]}
    return Problems(counts, kind, text, int(found[KEPT]))


def next_words(coding: Coding, running: Running, data: Buffer) -> tuple[Running, NDArray[Any], int]:
    """Return the whole words of the next piece and the byte at which they begin."""
    ready, carried = whole_records(running.carried, data, coding.word_bytes)
    return replace(running, carried=carried), coding.words(ready), running.carried.offset


def finish(coding: Coding, running: Running) -> Problems:
    """Return what the end of the stream leaves unfinished."""
    numbers, rest = running.numbers, len(running.carried.rest)
    problems = NO_PROBLEMS
    if numbers[HIGH] == NONE and numbers[EARLY]:
        text = f"its {int(numbers[EARLY])} events have no time, since no TIME_HIGH comes"
        problems = problem("untimed", text, 0, int(numbers[EARLY]))
    if rest:
        text = f"it ends {rest} bytes into a word of {coding.word_bytes}"
        problems = both(problems, problem("truncated", text, 0))
    elif numbers[TICKS] and numbers[AWAITED] in (SECOND_12, THIRD_8):
        problems = both(problems, problem("truncated", "it ends inside a vector of three words", 0))
    return problems


def evt_decoder(
    coding: Coding,
    kernel: Kernel | None = None,
    first_byte: int = 0,
    block_events: int = BLOCK_EVENTS,
) -> ByteDecoder[Running]:
    """Return the decoder of a coding.

    Args:
        coding: the version and the order of the bytes.
        kernel: another than the compiled one: its plain twin.
        first_byte: where the stream begins, for texts that name a byte.
        block_events: about how many events are decoded at a time.
    """
    chosen = kernel or _KERNELS[coding.version]

    def feed(running: Running, data: Buffer) -> tuple[Running, Columns]:
        after, words, offset = next_words(coding, running, data)
        found = nothing_found()
        parts = [
            columns_of_packed(packed) for packed in blocks_of(coding, after, words, found, chosen)
        ]
        columns = join(parts) if parts else no_events()
        problems = problems_of(coding, found, first_byte + offset)
        return after, replace(columns, problems=problems) if problems else columns

    return ByteDecoder(
        lambda: start(block_events),
        feed,
        lambda running: no_events(finish(coding, running)),
    )


def packed_pieces(
    coding: Coding, pieces: Iterable[Buffer], policy: Policy, name: str, first_byte: int = 0
) -> Iterator[Packed]:
    """Decode bytes to blocks of packed events; a block is valid until the next is asked for.

    Args:
        coding: the version and the order of the bytes.
        pieces: the bytes, however they are cut.
        policy: what follows from damage, as for `files.Recording`.
        name: what an error begins with.
        first_byte: where the bytes begin, for texts that name one.

    Raises:
        RecordingError: the policy is `raise` and there is a problem.
    """
    running, problems = start(), NO_PROBLEMS
    for data in pieces:
        running, words, offset = next_words(coding, running, data)
        found, events = nothing_found(), 0
        for block in blocks_of(coding, running, words, found, _KERNELS[coding.version]):
            problems = problems_of(coding, found, first_byte + offset)
            if problems and policy != "skip":
                yield block.part(0, problems.kept - events)
                break
            yield block
            events += len(block.words)
        if problems and policy != "skip":
            break
    problems = problems or finish(coding, running)
    if problems and policy == "raise":
        raise RecordingError(f"{name}: {problems.text}; {MEND}")
