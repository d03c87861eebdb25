"""A connection to an address that was checked, whose every read and write ends by one deadline.

Note [The address that was checked is the address that is asked]
    The host is resolved once. All answers are checked, and the connection goes to one of them; the name is
    used for TLS and the Host header only. So a name server that answers differently the second time gains
    nothing (DNS rebinding). Proxies of the environment are not consulted: they would resolve again.
"""

from __future__ import annotations

import functools
import http.client
import io
import os
import socket
import ssl
import time
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from ipaddress import ip_address
from typing import Any, Final

from ..exceptions import FetchFailed, FetchRefused
from .http_rules import Rules, Target
from .outside import get_pool

CONNECT_SECONDS: Final = 15.0
"""The longest wait for one of several addresses."""
CHUNK: Final = 64 * 1024


class Deadline:
    """A point in time that all of one exchange must meet."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: None are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time is up")
        return left


def resolve(target: Target, rules: Rules, deadline: Deadline) -> list[str]:
    """Return the addresses of a target's host, each of which may be asked.

    Raises:
        FetchRefused: One of them may not.
        OSError: The name has no address, or the name server no answer.
    """
    # getaddrinfo knows no timeout, so a thread waits for it.
    asked = get_pool("names").submit(socket.getaddrinfo, target.host, target.port, type=socket.SOCK_STREAM)
    try:
        answers = asked.result(deadline.left())
    except FutureTimeout:
        raise TimeoutError("the name server did not answer in time") from None
    found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    for address in found:
        if not rules.allows_address(target, ip_address(address.partition("%")[0])):
            raise FetchRefused(
                url=target.shown, reason=f"{target.host} leads to {address}, which is not public"
            )
    return found


class PinnedConnection(http.client.HTTPConnection):
    """An HTTP connection to the addresses given, whatever the name may lead to by now."""

    def __init__(self, target: Target, addresses: Sequence[str], deadline: Deadline) -> None:
        super().__init__(target.host, target.port)
        self.default_port = 443 if target.scheme == "https" else 80
        self._target = target
        self._addresses = addresses
        self._deadline = deadline
        self._line: socket.socket | None = None

    def connect(self) -> None:
        """Connect to the first of the addresses that answers, with TLS for https."""
        self._line = self._connect()
        if self._target.scheme == "https":
            self._line = self._secure(self._line)
        self.sock: Any = _TimedSocket(self._line, self._deadline)

    def hang_up(self) -> None:
        """Close the socket; http.client leaves that to whoever still reads from it."""
        if self._line is not None:
            self._line.close()

    def _connect(self) -> socket.socket:
        failure: OSError = FetchNowhere()
        for address in self._addresses:
            try:
                seconds = min(self._deadline.left(), CONNECT_SECONDS)
                return socket.create_connection((address, self._target.port), seconds)
            except OSError as error:
                failure = error
        raise failure

    def _secure(self, plain: socket.socket) -> socket.socket:
        plain.settimeout(self._deadline.left())
        context = _make_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        return context.wrap_socket(plain, server_hostname=self._target.host)


@functools.cache
def _make_context(file: str | None, folder: str | None) -> ssl.SSLContext:
    return ssl.create_default_context()  # reads both variables; loading the authorities is slow


class FetchNowhere(OSError):
    """The name has no address at all."""

    def __str__(self) -> str:
        return "the host has no address"


class _TimedSocket:
    """The part of a socket that http.client uses; no peer can stretch it byte by byte past the deadline."""

    def __init__(self, plain: socket.socket, deadline: Deadline) -> None:
        self._plain = plain
        self._deadline = deadline

    def sendall(self, data: Any) -> None:
        view = memoryview(data).cast("B")
        while view:
            self._plain.settimeout(self._deadline.left())
            view = view[self._plain.send(view[:CHUNK]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._plain, self._deadline), CHUNK)

    def close(self) -> None:
        """Leave the socket open for the answer, which http.client still reads; see ``hang_up``."""


class _TimedReader(io.RawIOBase):
    def __init__(self, plain: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._plain = plain
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._plain.settimeout(self._deadline.left())
        return self._plain.recv_into(buffer)


def describe_failure(target: Target, error: Exception) -> FetchFailed:
    """Return the error of a request that got no complete answer."""
    reason = str(error).strip() or type(error).__name__
    return FetchFailed(url=target.shown, reason=f"{type(error).__name__}, {reason[:300]}")
