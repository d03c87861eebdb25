"""A TCP proxy whose connections can be made to fall silent without being closed."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Forwards bytes both ways until it is frozen; then it takes everything and answers nothing."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thaw = threading.Event()
        self._thaw.set()
        self._open = [self._server]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """The target's address with the proxy in its place."""
        login, at, _ = self._target.netloc.rpartition("@")
        port = self._server.getsockname()[1]
        return urlunsplit(self._target._replace(netloc=f"{login}{at}127.0.0.1:{port}"))

    def freeze(self) -> None:
        self._thaw.clear()

    def thaw(self) -> None:
        """Let through what was held back, and all that follows."""
        self._thaw.set()

    def close(self) -> None:
        self._thaw.set()
        for each in self._open:
            # shutdown, because close alone does not wake a thread that waits in recv or accept
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                each.close()

    def _serve(self) -> None:
        while True:
            try:
                near = self._server.accept()[0]
                far = socket.create_connection((self._target.hostname or "", self._target.port or 0))
            except OSError:
                return
            self._open += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                self._thaw.wait()
                sink.sendall(data)
        except OSError:
            return
