"""What the control socket is asked and answers: JSON, one request and one reply."""

from typing import Any

import msgspec

from retempo.runtime.errors import FeedError

MAX_REQUEST_BYTES = 1 << 16


class Status(msgspec.Struct, frozen=True, tag="status", tag_field="do", forbid_unknown_fields=True):
    """What is served, and every open stream with its counters."""


class Swap(msgspec.Struct, frozen=True, tag="swap", tag_field="do", forbid_unknown_fields=True):
    """Serve another model; without one the configuration is read again, as by SIGHUP."""

    model: str | None = None


class StopRequest(
    msgspec.Struct, frozen=True, tag="stop", tag_field="do", forbid_unknown_fields=True
):
    """Finish every stream and end, as by SIGTERM."""


Request = Status | Swap | StopRequest

_DECODER: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


def decode_request(body: bytes) -> Request:
    """Read a request.

    Raises:
        FeedError: it is none; the text says what it should be.
    """
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FeedError(
            f'this is no request: {error}; send {{"do": "status"}}, '
            '{"do": "swap", "model": PATH} or {"do": "stop"}'
        ) from error


def refusal(kind: str, reason: str) -> dict[str, Any]:
    """Return the reply to what is not done."""
    return {"ok": False, "kind": kind, "error": reason}
