"""The child process with web server and worker, and the port that it gets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import IO

from django.core.management.base import CommandError

STOP_SECONDS = 8.0
PORTS_TRIED = 50


class Station:
    """Web server and worker in a child process; see Note [The child never outlives its parent].

    Args:
        address: host:port of the web server.
        using: alias of the durable tables.
        output: where the child writes; None is this process's own streams.
    """

    def __init__(self, address: str, using: str, output: IO[bytes] | None = None) -> None:
        self._address = address
        self._using = using
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the web server, for a browser."""
        return f"http://{self._address}"

    @property
    def exit_code(self) -> int | None:
        """The exit code of the child, None while it runs."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Start the child."""
        arguments = [
            "durable",
            "serve",
            self._address,
            "--parent",
            str(os.getpid()),
            "--database",
            self._using,
        ]
        # The same modules as here, whatever script started this process.
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter and our own arguments
            [sys.executable, "-m", "django", *arguments],
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT if self._output is not None else None,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Ask the child to end, and kill it if it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def answers(self) -> bool:
        """Tell whether the web server takes connections."""
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=0.5).close()
        except OSError:
            return False
        return True


def choose_address(given: str | None) -> str:
    """Return host:port: the given one, or the first free port from 8000 on.

    Args:
        given: "8001", "0.0.0.0:8001", or None.

    Raises:
        CommandError: The given one is no address or is in use.
    """
    if given is None:
        return _find_free()
    host, _, port = given.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise CommandError(f"{given!r} is neither a port nor host:port.", returncode=2)
    address = (host or "127.0.0.1", int(port))
    if not _is_free(*address):
        raise CommandError(f"{address[0]}:{address[1]} is in use, or not an address of this host.")
    return f"{address[0]}:{address[1]}"


def _find_free() -> str:
    for port in range(8000, 8000 + PORTS_TRIED):
        if _is_free("127.0.0.1", port):
            return f"127.0.0.1:{port}"
    raise CommandError(f"The ports 8000 to {8000 + PORTS_TRIED - 1} are all in use; name another one.")


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True
