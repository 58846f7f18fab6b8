"""Ways to damage a recording, and the one input that a number stands for."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.fuzzing.seeds import Seed
from retempo.sensors.geometry import ChannelGeometry, Geometry, GridGeometry

_MOST_BYTES = 16_384
_BYTES = (0, 1, 0x7F, 0x80, 0xFE, 0xFF, 0x23, 0x25)
_NUMBERS = (0, 1, -1, 2**15, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, 34, 10**9)
_GEOMETRIES: tuple[Geometry, ...] = (
    GridGeometry(34, 34),
    GridGeometry(1, 1),
    GridGeometry(640, 480),
    GridGeometry(65_536, 65_536),
    ChannelGeometry(64),
)

Mutation = Callable[[random.Random, bytearray], None]


@dataclass(frozen=True, slots=True)
class Input:
    """What one reader is given: a file's suffix and bytes, the caller's claim, the chunk size."""

    seed: Seed
    suffix: str
    data: bytes
    geometry: Geometry | None
    chunk_events: int


def input_of(number: int, base: int, seeds: Sequence[Seed], formats: Sequence[str]) -> Input:
    """The input of a number; the same for the same seeds and the same base."""
    rng = random.Random((base << 40) + number)  # noqa: S311  (it guards no secret)
    name = formats[number % len(formats)]
    mine = [seed for seed in seeds if seed.format == name]
    seed = rng.choice(mine)
    data = bytearray(seed.data)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        if rng.random() < 0.08:
            _splice(rng, data, rng.choice(seeds).data)
        else:
            rng.choice(MUTATIONS)(rng, data)
    return Input(
        seed=seed,
        suffix=seed.suffix if rng.random() < 0.95 else rng.choice(seeds).suffix,
        data=bytes(data[:_MOST_BYTES]),
        geometry=rng.choice(_GEOMETRIES) if rng.random() < 0.3 else None,
        chunk_events=rng.choice((13, 200, 65_536, 65_536)),
    )


def _place(rng: random.Random, data: bytearray) -> int:
    """Anywhere, the first bytes and the last more often."""
    size = len(data)
    if size == 0:
        return 0
    where = rng.random()
    if where < 0.2:
        return rng.randrange(min(size, 128))
    return rng.randrange(size) if where < 0.9 else size - 1 - rng.randrange(min(size, 16))


def _span(rng: random.Random, data: bytearray) -> slice:
    start = _place(rng, data)
    return slice(start, start + min(rng.choice((1, 2, 4, 7, 16, 64, 500)), len(data)))


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, data)] ^= 1 << rng.randrange(8)


def _set(rng: random.Random, data: bytearray) -> None:
    if data:
        data[_place(rng, data)] = rng.choice(_BYTES)


def _number(rng: random.Random, data: bytearray) -> None:
    size = rng.choice((2, 4, 8))
    value = rng.choice((*_NUMBERS, len(data), len(data) + 1)) % (1 << 8 * size)
    place = _place(rng, data)
    data[place : place + size] = value.to_bytes(size, rng.choice(("little", "big")))


def _digits(rng: random.Random, data: bytearray) -> None:
    """Change the numbers of a text."""
    found = [k for k, byte in enumerate(data[:512]) if 48 <= byte <= 57]
    if found:
        place = rng.choice(found)
        data[place : place + 1] = rng.choice((b"", b"9", b"-", b"99999999999", b"9" * 5_000, b"."))


def _delete(rng: random.Random, data: bytearray) -> None:
    del data[_span(rng, data)]


def _repeat(rng: random.Random, data: bytearray) -> None:
    part = _span(rng, data)
    data[part.start : part.start] = data[part] * rng.choice((1, 1, 2, 40))


def _insert(rng: random.Random, data: bytearray) -> None:
    place = _place(rng, data)
    data[place:place] = rng.randbytes(rng.choice((1, 2, 3, 4, 8, 33, 300)))


def _noise(rng: random.Random, data: bytearray) -> None:
    part = _span(rng, data)
    data[part] = rng.randbytes(len(data[part]))


def _zero(rng: random.Random, data: bytearray) -> None:
    part = _span(rng, data)
    data[part] = bytes(len(data[part]))


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[_place(rng, data) :]


def _random_head(rng: random.Random, data: bytearray) -> None:
    size = rng.choice((1, 4, 16, 64, 200))
    data[:size] = rng.randbytes(size)


def _random_rest(rng: random.Random, data: bytearray) -> None:
    place = _place(rng, data)
    data[place:] = rng.randbytes(rng.choice((0, 5, 64, 1_000)))


def _splice(rng: random.Random, data: bytearray, other: bytes) -> None:
    place, theirs = _place(rng, data), bytearray(other)
    data[place:] = theirs[_place(rng, theirs) :]


MUTATIONS: tuple[Mutation, ...] = (
    _flip,
    _flip,
    _set,
    _set,
    _number,
    _number,
    _digits,
    _delete,
    _repeat,
    _insert,
    _noise,
    _zero,
    _truncate,
    _random_head,
    _random_rest,
)
