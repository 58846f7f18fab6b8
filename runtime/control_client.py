"""Ask a daemon's control socket."""

from typing import Any

import msgspec
import zmq

from retempo.runtime.control_protocol import Request
from retempo.runtime.endpoints import connect, wait
from retempo.runtime.errors import FeedError


def ask(endpoint: str, request: Request, timeout_s: float) -> dict[str, Any]:
    """Send one request and return the reply; `ok` says whether it was done.

    Raises:
        FeedError: the endpoint is malformed, nobody answers in time, or the answer is no JSON.
    """
    context = zmq.Context()
    sock = context.socket(zmq.REQ)
    sock.set(zmq.LINGER, 0)
    try:
        connect(sock, endpoint)
        sock.send(msgspec.json.encode(request))
        if not wait(sock, timeout_s):
            raise FeedError(
                f"no daemon answers at {endpoint} within {timeout_s:g} s; is retempo serve running "
                "there, and is it its [control] bind?"
            )
        reply = msgspec.json.decode(sock.recv(), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FeedError(f"{endpoint} answers with no JSON; is it a control socket?") from error
    finally:
        sock.close()
        context.term()
    return reply
