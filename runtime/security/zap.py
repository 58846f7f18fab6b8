"""The questions of libzmq about who connects, and their answers: ZAP 1.0.

https://rfc.zeromq.org/spec/27/. Pure: `runtime.security.door` owns the socket.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from retempo.runtime.security.keys import z85_of

ENDPOINT = "inproc://zeromq.zap.01"
_VERSION = b"1.0"

# Who is refused by 400 is told so, and its libzmq does not try again by itself. 300 stands for a
# refusal that passes: the peer is cut when its time for the handshake is over, and tries again.
ACCEPTED, FULL, NOT_LISTED = 200, 300, 400


@dataclass(frozen=True, slots=True)
class Request:
    """A peer that asks to be let in: `key` is its public key where it has one, "" in clear."""

    number: bytes
    domain: str
    address: str
    mechanism: str
    key: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request; `name` is that of the peer's key."""

    code: int
    reason: str
    name: str = ""


def read_request(frames: Sequence[bytes]) -> Request | None:
    """Return a request, or None where the frames are none."""
    if len(frames) < 6 or frames[0] != _VERSION:
        return None
    _, number, domain, address, _, mechanism, *credentials = frames
    key = ""
    if mechanism == b"CURVE":
        if len(credentials) != 1 or len(credentials[0]) != 32:
            return None
        key = z85_of(credentials[0])
    return Request(
        number,
        domain.decode("ascii", "replace"),
        address.decode("ascii", "replace") or "ipc",
        mechanism.decode("ascii", "replace"),
        key,
    )


def judge(
    request: Request, name_of: Callable[[str], str | None] | None, others: int, most: int
) -> Verdict:
    """Decide on a request.

    Args:
        request: who asks.
        name_of: the name of a listed key; None where the daemon serves in clear.
        others: how many peers are connected already.
        most: how many may be.
    """
    name = ""
    if name_of is not None:
        listed = name_of(request.key) if request.mechanism == "CURVE" else None
        if listed is None:
            return Verdict(NOT_LISTED, "the key is not listed")
        name = listed
    elif request.mechanism != "NULL":
        return Verdict(NOT_LISTED, f"{request.mechanism} is not spoken here")
    if others >= most:
        return Verdict(FULL, f"{most} peers are connected, and that is the most", name)
    return Verdict(ACCEPTED, "welcome", name)


def answer(number: bytes, verdict: Verdict) -> list[bytes]:
    """Return the frames of an answer."""
    code, reason = str(verdict.code).encode(), verdict.reason.encode()
    return [_VERSION, number, code, reason, verdict.name.encode(), b""]
