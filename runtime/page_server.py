"""A small HTTP server for a few pages, in a thread: bounded in connections, size and time."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import AF_INET6, SHUT_RDWR, socket
from socketserver import ThreadingMixIn
from typing import Any, ClassVar

from retempo.runtime.errors import FeedError

# A scraper needs one connection; who opens more waits for nobody and is closed.
_MOST_CONNECTIONS = 8
_LONGEST_S = 5.0


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    content_type: str
    body: bytes


# Makes a page; told what the client accepts.
Route = Callable[[str], Page]


class PageServer:
    """Serves pages by their path until it is closed.

    Args:
        host: an address or a name of this machine.
        port: 0 takes a free one.
        routes: what makes the page of each path.
        key: the configuration key that sets the address, for messages.

    Raises:
        FeedError: nothing can listen there.
    """

    def __init__(self, host: str, port: int, routes: Mapping[str, Route], key: str) -> None:
        class Handler(_Handler):
            pages: ClassVar[dict[str, Route]] = dict(routes)

        kind = _Server6 if ":" in host else _Server
        try:
            self._server = kind((host, port), Handler)
        except OSError as error:
            raise FeedError(
                f"cannot listen at {host}:{port}: {error.strerror or error}; set {key} to another "
                "address (port 0 takes a free one)"
            ) from error
        bound = f"[{host}]" if ":" in host else host
        self.url = f"http://{bound}:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="pages", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving, and close every connection."""
        self._server.shutdown()
        self._thread.join()
        self._server.end_all()
        self._server.server_close()


class _Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, *arguments: Any) -> None:
        self._open: dict[socket, float] = {}
        super().__init__(*arguments)

    def server_bind(self) -> None:
        # HTTPServer would ask the network for the host's name.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._open) >= _MOST_CONNECTIONS:
            self.shutdown_request(request)
            return
        self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End what has lasted too long, however slowly it trickles."""
        now_s = time.monotonic()
        for request, began_s in list(self._open.items()):
            if now_s - began_s > _LONGEST_S:
                _end(request)

    def end_all(self) -> None:
        for request in list(self._open):
            _end(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is nothing to tell."""


class _Server6(_Server):
    address_family = AF_INET6


class _Handler(BaseHTTPRequestHandler):
    pages: ClassVar[dict[str, Route]]
    timeout = 2.0
    server_version, sys_version = "retempo", ""

    def do_GET(self) -> None:
        route = self.pages.get(self.path.partition("?")[0])
        if route is None:
            known = " ".join(self.pages)
            page = Page(404, "text/plain", f"no such page; there are {known}\n".encode())
        else:
            page = route(self.headers.get("Accept", ""))
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(page.body)

    do_HEAD = do_GET  # noqa: N815  (http.server's names)

    def log_message(self, *_: Any) -> None:
        """The daemon's log is not for who looks at it."""


def _end(request: socket) -> None:
    with suppress(OSError):
        request.shutdown(SHUT_RDWR)
