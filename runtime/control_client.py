"""Ask a daemon's control socket."""

import time
from typing import Any

import msgspec
import zmq

from retempo.runtime.control_protocol import Request
from retempo.runtime.endpoints import connect, wait
from retempo.runtime.errors import FeedError
from retempo.runtime.security.monitors import Monitor

# So long a daemon may take to listen. One that does is waited for: a trial takes its time.
CONNECT_S = 2.0
_IS_IT_THERE = "is retempo serve running there, and is it its [control] bind?"


def ask(endpoint: str, request: Request, timeout_s: float) -> dict[str, Any]:
    """Send one request and return the reply; `ok` says whether it was done.

    Raises:
        FeedError: the endpoint is malformed, nobody listens there within `CONNECT_S` or answers in
            time, the connection breaks before that, or the answer is no JSON.
    """
    context = zmq.Context()
    sock = context.socket(zmq.REQ)
    sock.set(zmq.LINGER, 0)
    monitor = Monitor(sock, zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED)
    try:
        connect(sock, endpoint)
        sock.send(msgspec.json.encode(request))
        _wait(sock, monitor, endpoint, timeout_s)
        reply = msgspec.json.decode(sock.recv(), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FeedError(f"{endpoint} answers with no JSON; is it a control socket?") from error
    finally:
        monitor.close()
        sock.close()
        context.term()
    return reply


def _wait(sock: "zmq.Socket[Any]", monitor: Monitor, endpoint: str, timeout_s: float) -> None:
    """Wait for the reply, for as long as somebody is there to give it."""
    ends_s = time.monotonic() + timeout_s
    if not wait(monitor.socket, min(timeout_s, CONNECT_S)):
        raise FeedError(
            f"no daemon answers at {endpoint}: nobody listens there within "
            f"{min(timeout_s, CONNECT_S):g} s; {_IS_IT_THERE}"
        )
    poller = zmq.Poller()
    poller.register(sock, zmq.POLLIN)
    poller.register(monitor.socket, zmq.POLLIN)
    while True:
        left_ms = max(0, -int(-(ends_s - time.monotonic()) * 1e3 // 1))
        ready = dict(poller.poll(left_ms))
        if sock in ready:
            return
        if not ready:
            raise FeedError(
                f"no daemon answers at {endpoint} within {timeout_s:g} s, but somebody listens "
                "there: it is busy or stopped; give it longer by --timeout"
            )
        broken = any(happening.kind == zmq.EVENT_DISCONNECTED for happening in monitor.read())
        # What came before the end is there by now.
        if broken and not wait(sock, 0.0):
            raise FeedError(
                f"no daemon answers at {endpoint}: the connection broke before an answer came; "
                f"{_IS_IT_THERE}"
            )
