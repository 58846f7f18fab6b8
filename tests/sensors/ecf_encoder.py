"""ECF as its description says it is written, for tests."""

from itertools import pairwise

import numpy as np

MASKED, PACKED_12, PACKED_24 = 0, 1, 2


def encode_ecf(
    t: list[int], x: list[int], y: list[int], on: list[int], packing: int = MASKED
) -> bytes:
    """A chunk of events whose times do not go back."""
    out = bytearray((len(t) << 2 | packing).to_bytes(4, "little"))
    out += t[0].to_bytes(8, "little") + _times(t)
    if packing == PACKED_24:
        values = [b << 12 | a << 1 | p for a, b, p in zip(x, y, on, strict=True)]
        for v in _fours(values):
            out += (v[0] << 8 | v[1] & 255).to_bytes(4, "little")
            out += (v[1] >> 8 << 16 | v[2] & 65_535).to_bytes(4, "little")
            out += (v[2] >> 16 << 24 | v[3]).to_bytes(4, "little")
        return bytes(out)
    for value, count in _runs(y):
        out += _u16(value << 5 | min(count, 31)) + (_u16(count) if count >= 31 else b"")
    if packing == PACKED_12:
        for v in _fours([a << 1 | p for a, p in zip(x, on, strict=True)]):
            out += _u16(v[0] << 4 | v[1] & 15) + _u16(v[1] >> 4 << 8 | v[2] & 255)
            out += _u16(v[2] >> 8 << 12 | v[3])
        return bytes(out)
    event = 0
    while event < len(x):
        first, mask = x[event], 0
        event += 1
        for right in range(5):
            if event < len(x) and x[event] == first + right + 1:
                mask |= 16 >> right
                event += 1
        out += _u16(first << 5 | mask)
    for value, count in _runs(on):
        out += bytes([value << 7 | min(count, 127)]) + (_u16(count) if count >= 127 else b"")
    return bytes(out)


def _times(t: list[int]) -> bytes:
    out, now = bytearray(), t[0]
    for time, count in _runs(t):
        step = time - now
        if step >= 15:
            while step:
                out.append(0xF0 | step & 15)
                step >>= 4
        out.append(step << 4 | min(count, 15))
        out += _u16(count) if count >= 15 else b""
        now = time
    return bytes(out)


def _runs(values: list[int]) -> list[tuple[int, int]]:
    cuts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return [(values[a], b - a) for a, b in pairwise(cuts)]


def _fours(values: list[int]) -> list[list[int]]:
    full = values + [0] * (-len(values) % 4)
    return [full[start : start + 4] for start in range(0, len(full), 4)]


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "little")
