"""A web server for tests: ``python -m tests.http_server`` serves the API at the root and prints its port.

Like gunicorn, and unlike Django's, it decodes chunked bodies and says that it ends the stream.
"""

from __future__ import annotations

import io
import os
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    from tests.plugins.processes import Project
    from tests.processes import Process


class ChunkedReader(io.RawIOBase):
    """The content of a chunked body."""

    def __init__(self, source: Any) -> None:
        self._source, self._left, self._ended = source, 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left == 0 and not self._ended:
            self._left = int(self._source.readline(64).split(b";")[0], 16)
            self._ended = self._left == 0
        if self._ended:
            return 0
        data = self._source.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        if self._left == 0:
            self._source.readline(8)
        return len(data)


class Handler(WSGIRequestHandler):
    def get_environ(self) -> Any:
        environ = super().get_environ()
        if not self.headers.get("Content-Length"):
            environ.pop("CONTENT_LENGTH", None)
        return environ

    def log_message(self, format: str, *args: Any) -> None:
        return


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def decode_chunks(application: Any) -> Any:
    def call(environ: Any, start: Any) -> Any:
        if environ.get("HTTP_TRANSFER_ENCODING") == "chunked":
            environ["wsgi.input"] = io.BufferedReader(ChunkedReader(environ["wsgi.input"]))
            environ["wsgi.input_terminated"] = True
        return application(environ, start)

    return call


def start_server(project: Project, module: str = "tests.http_server") -> str:
    """Start the server as a process of the project and return its address, which ends with a slash."""
    process = project.start("server", "-m", module)
    process.wait_for("port ")
    port = process.wait_until(
        lambda: next(iter(process.text.partition("port ")[2].split()), ""), what="a port"
    )
    return f"http://127.0.0.1:{port}/"


def start_gunicorn(project: Project, *, workers: int = 2, threads: int = 4) -> tuple[str, Process]:
    """Start gunicorn with the API at the root; return its address and its process, whose group has the workers."""
    options = ["--workers", str(workers), "--worker-class", "gthread", "--threads", str(threads)]
    more = ["--bind", "127.0.0.1:0", "--log-level", "info", "--graceful-timeout", "5"]
    process = project.start("gunicorn", "-m", "gunicorn", *options, *more, "tests.wsgi:application")
    process.wait_until(lambda: process.text.count("Booting worker") >= workers, what="the workers")
    return process.text.partition("Listening at: ")[2].split()[0] + "/", process


def main() -> None:
    from django.conf import settings

    settings.ROOT_URLCONF = os.environ.get("TEST_URLS", "tests.urls_root")
    server = make_server("127.0.0.1", 0, decode_chunks(get_wsgi_application()), Server, Handler)
    print(f"port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
