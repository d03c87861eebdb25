"""A small HTTP server for tests: it does what the path says, and notes each request that it got."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ENDLESS = b"x" * 4096


@dataclass
class Got:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """``answers`` maps a path to the (status, headers, body) triples to give, the last one for ever.

    ``held`` maps a path to a body that is given once ``gate`` is open.
    """

    address: str
    port: int
    got: list[Got] = field(default_factory=list)
    answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    held: dict[str, bytes] = field(default_factory=dict)
    gate: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    together: threading.Barrier | None = None

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"


@contextmanager
def serve(address: str = "127.0.0.1", tls: Any = None) -> Iterator[Server]:
    """Serve until the block ends; with ``tls``, an SSLContext, over https."""
    httpd = ThreadingHTTPServer((address, 0), _Handler)
    httpd.daemon_threads = True
    httpd.handle_error = lambda *args: None  # type: ignore[method-assign]  # clients hang up on purpose
    if tls is not None:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    server = httpd.state = Server(address, httpd.server_address[1])  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        server: Server = self.server.state  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.got.append(Got(self.command, self.path, headers, body))
        server.arrived.release()
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        own = getattr(self, "do_" + path.strip("/").replace("-", "_"), None)
        if path in server.answers:
            left = server.answers[path]
            self.answer(*(left.pop(0) if len(left) > 1 else left[0]))
        elif path in server.held:
            server.gate.wait(20)
            self.answer(200, {}, server.held[path])
        elif own is not None:
            own(server, {name: values[0] for name, values in query.items()})
        else:
            self.answer(200, {"Content-Type": "text/plain"}, b"hello")

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_redirect(self, server: Server, query: dict[str, str]) -> None:
        self.answer(int(query.get("status", "302")), {"Location": query["to"]}, b"")

    def do_endless(self, server: Server, query: dict[str, str]) -> None:
        self.send_response(200)
        self.end_headers()
        while not server.gate.is_set():
            self.wfile.write(ENDLESS)

    def do_drip(self, server: Server, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not server.gate.wait(0.01):
            self.wfile.write(b".")

    def do_drip_headers(self, server: Server, query: dict[str, str]) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not server.gate.wait(0.01):
            self.wfile.write(b".")

    def do_short(self, server: Server, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"too few")
        self.close_connection = True

    def do_gate(self, server: Server, query: dict[str, str]) -> None:
        server.gate.wait(20)
        self.answer(200, {"Content-Type": "text/plain"}, b"opened")

    def do_meet(self, server: Server, query: dict[str, str]) -> None:
        assert server.together is not None
        server.together.wait(60)
        self.answer(200, {}, query["n"].encode())

    def log_message(self, *args: Any) -> None:
        """Be quiet."""
