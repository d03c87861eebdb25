"""Count crash points, and die at one of them."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper


class Points:
    """The crash points that this process has passed.

    Args:
        kill_at: the number of the point at which the process kills itself; 0 for never.
        every: whether a point also counts if nothing lies between it and the one before it that would
            outlive the process: nothing but reads, or statements of a transaction that would be rolled back.
    """

    def __init__(self, kill_at: int, *, every: bool = False) -> None:
        self.passed = 0
        self.on_death: Callable[[str], None] = lambda what: None
        self._kill_at = kill_at
        self._every = every
        self._changed = True
        self._lock = threading.Lock()

    def reach(self, what: str, changes: bool = True, open: bool = False) -> None:
        """Note that ``what`` is about to happen, whether it changes anything, and if in an open transaction."""
        with self._lock:
            if self._every or (self._changed and not open):
                self.passed += 1
                if self.passed == self._kill_at:
                    self.on_death(what)
                    os.kill(os.getpid(), signal.SIGKILL)
            self._changed = changes or (open and self._changed)


def watch_database(points: Points) -> None:
    """Let each statement and each commit of this process be a point; only for processes that end soon."""
    run_one, run_many = CursorWrapper._execute, CursorWrapper._executemany
    commit, dial = BaseDatabaseWrapper._commit, socket.socket.connect

    def _execute(self: Any, sql: str, *args: Any) -> Any:
        points.reach(sql, is_change(sql), open=self.db.in_atomic_block or is_frame(sql))
        return run_one(self, sql, *args)

    def _executemany(self: Any, sql: str, *args: Any) -> Any:
        points.reach(sql, is_change(sql), open=self.db.in_atomic_block)
        return run_many(self, sql, *args)

    def _commit(self: Any) -> Any:
        points.reach("COMMIT")
        return commit(self)

    def connect(self: socket.socket, address: Any) -> Any:
        points.reach(f"connect {address}")
        return dial(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign,assignment]
    CursorWrapper._execute = _execute
    CursorWrapper._executemany = _executemany
    BaseDatabaseWrapper._commit = _commit


def is_frame(sql: str) -> bool:
    """Tell whether a statement only begins a transaction, or a part of one."""
    return sql.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "PRAGMA"))


def is_change(sql: str) -> bool:
    """Tell whether a statement may do more than read."""
    text = sql.lstrip().upper()
    if text.startswith("SELECT"):
        return "FOR UPDATE" in text or "FOR NO KEY" in text
    return not text.startswith("WITH") or any(word in text for word in ("INSERT", "UPDATE", "DELETE"))
