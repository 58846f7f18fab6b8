"""A TCP proxy that cuts connections wherever a test wants: after so many bytes, or now."""

import selectors
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress


class Proxy:
    """Forwards to one port; `endpoint` is where to connect.

    The connections are cut, one after the other, when so many bytes as `cuts` says have gone
    towards the target: in the middle of whatever message that is.
    """

    def __init__(self, target: str, cuts: Sequence[int] = ()) -> None:
        host, port = target.removeprefix("tcp://").split(":")
        self._target = (host, int(port))
        self._cuts = list(cuts)
        self.connections = 0
        self.cut = 0
        self._shut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._waker, self._wake = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._waker, selectors.EVENT_READ)
        self._peers: dict[socket.socket, socket.socket] = {}
        self._left: dict[socket.socket, int] = {}
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def cut_now(self) -> None:
        """Cut all connections."""
        self._wake.send(b"c")

    def shut(self) -> None:
        """Cut all connections, and let none in until `open`."""
        self._shut = True
        self.cut_now()

    def open(self) -> None:
        """Let connections in again."""
        self._shut = False

    def close(self) -> None:
        self._wake.send(b"q")
        self._thread.join(10.0)
        for sock in (*self._peers, self._listener, self._waker, self._wake):
            sock.close()
        self._selector.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._waker:
                    if b"q" in sock.recv(100):
                        return
                    for one in list(self._peers):
                        self._drop(one)
                elif sock is self._listener:
                    self._accept()
                elif sock in self._peers:
                    self._forward(sock)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if self._shut:
            client.close()
            return
        try:
            server = socket.create_connection(self._target, timeout=10.0)
        except OSError:
            client.close()
            return
        self.connections += 1
        self._peers |= {client: server, server: client}
        self._left[client] = self._cuts.pop(0) if self._cuts else 2**62
        for sock in (client, server):
            self._selector.register(sock, selectors.EVENT_READ)

    def _forward(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(min(65_536, self._left.get(sock, 2**62)))
            if data:
                self._peers[sock].sendall(data)
        except OSError:
            data = b""
        if sock in self._left:
            self._left[sock] -= len(data)
        if not data or self._left.get(sock, 1) <= 0:
            self._drop(sock)

    def _drop(self, sock: socket.socket) -> None:
        other = self._peers.pop(sock, None)
        if other is None:
            return
        self.cut += 1
        del self._peers[other]
        for one in (sock, other):
            self._left.pop(one, None)
            self._selector.unregister(one)
            with suppress(OSError):
                one.close()


@contextmanager
def proxy(target: str, cuts: Sequence[int] = ()) -> Iterator[Proxy]:
    made = Proxy(target, cuts)
    try:
        yield made
    finally:
        made.close()
