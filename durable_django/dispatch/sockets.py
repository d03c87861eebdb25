"""Wake the workers of this host: one datagram socket a worker, in a folder that only this user can enter.

A datagram names a queue and nothing else; a forged or lost one costs a look or a little latency.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from django.db import connections

from ..conf import settings

logger = logging.getLogger("durable_django.dispatch")

AVAILABLE = hasattr(socket, "AF_UNIX")
_numbers = itertools.count()


def find_folder(using: str) -> Path:
    """Return the folder of the workers that share a database, made if it is missing.

    Raises:
        OSError: It cannot be made, or another user could enter it.
    """
    given = connections[using].settings_dict
    database = "|".join(str(given.get(key, "")) for key in ("ENGINE", "HOST", "PORT"))
    name = str(given["NAME"])
    if given["ENGINE"].endswith("sqlite3"):
        name = os.path.abspath(name)  # noqa: PTH100  links stay as they are
    digest = hashlib.blake2b(f"{database}|{name}".encode(), digest_size=8).hexdigest()
    root = Path(settings.RUNTIME_DIR or Path(tempfile.gettempdir()) / f"durable-{os.getuid()}")
    folder = root / digest
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in (root, folder):
        found = each.stat()
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o022:
            raise PermissionError(f"{each} may be written by other users")
    return folder


def send_wake(using: str, queues: Iterable[str]) -> None:
    """Tell the workers of this host that there is work in these queues."""
    if not AVAILABLE:
        return
    messages = [queue.encode() for queue in sorted(set(queues))]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for path in find_folder(using).glob("*.sock"):
            for message in messages:
                _send(sender, path, message)


def _send(sender: socket.socket, path: Path, message: bytes) -> None:
    try:
        sender.sendto(message, str(path))
    except BlockingIOError:
        return  # the worker has unread wake-ups enough
    except (ConnectionRefusedError, FileNotFoundError):
        path.unlink(missing_ok=True)  # its worker is dead


class WakeSocket:
    """A worker's ear: calls ``heard(queue)`` on a thread of its own for each datagram."""

    def __init__(self, using: str, heard: Callable[[str], None]) -> None:
        self._heard = heard
        self._path: Path | None = None
        self._socket: socket.socket | None = None
        try:
            self._open(using)
        except OSError:
            logger.warning("no wake-up socket; new work is found by polling", exc_info=True)

    def _open(self, using: str) -> None:
        if not AVAILABLE:
            return
        path = find_folder(using) / f"{os.getpid()}-{next(_numbers)}.sock"
        path.unlink(missing_ok=True)
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ear.bind(str(path))
        self._path, self._socket = path, ear
        threading.Thread(target=self._listen, args=(ear,), name="durable-ear", daemon=True).start()

    def _listen(self, ear: socket.socket) -> None:
        while self._socket is not None:
            message = ear.recv(256)
            if message:
                self._heard(message.decode(errors="replace"))
        ear.close()

    def close(self) -> None:
        """Stop listening and remove the socket."""
        ear, path = self._socket, self._path
        self._socket = None
        if ear is None or path is None:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", str(path))
        path.unlink(missing_ok=True)
