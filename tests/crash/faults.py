"""Faults of the store: statements that fail, before or after they took effect, while the process lives on."""

from __future__ import annotations

import random
import re
import sqlite3
import sys
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from tests.crash.points import is_frame

KINDS = {
    "postgresql": ("lost-after", "lost-before", "killed", "deadlock", "serialization"),
    "sqlite": ("locked",),
}
"""Connection lost before or after the statement took effect; session ended by an operator; refused by the server."""
_CODES = {"deadlock": "40P01", "serialization": "40001"}
_DOORS = ("durable_django.store.base", "durable_django.store.retrying")
"""Rooms that only begin transactions for others."""


class Faults:
    """Lets statements of this process fail: the first of a shape, or a share of all.

    Args:
        kind: how they fail; empty: not at all.
        of: the shape of the statement; empty for none. Its number would not do: some are made only now and then.
        share: the probability of each to fail.
        seed: of the choice.
    """

    def __init__(self, kind: str, *, of: str = "", share: float = 0.0, seed: int = 0) -> None:
        self.kind = kind
        self.shapes: list[str] = []
        self.made = 0
        self.of = of
        self._share = share
        self._seed = seed
        self._random = random.Random(seed)
        self._undo: Any = None

    def strikes(self, sql: str) -> bool:
        """Count a statement, and tell whether it is to fail."""
        found = f"{sql} of {find_origin()}" if sql.startswith(("BEGIN", "COMMIT")) else shape(sql)
        first = found == self.of and found not in self.shapes
        self.shapes.append(found)
        chosen = first or self._random.random() < self._share
        self.made += chosen
        return chosen

    def watch(self) -> None:
        """Stand between this process and its connections; only for processes that end soon."""
        run_one, commit, faults = CursorWrapper._execute, BaseDatabaseWrapper._commit, self

        def _execute(cursor: Any, sql: str, *args: Any) -> Any:
            # SQLite waits for its lock when a transaction begins, and nowhere else.
            fit = sql.startswith("BEGIN") if cursor.db.vendor == "sqlite" else not is_frame(sql)
            if fit and faults.strikes(sql):
                return faults._fail(cursor.db, lambda: run_one(cursor, sql, *args))
            return run_one(cursor, sql, *args)

        def _commit(connection: Any) -> Any:
            if connection.vendor == "postgresql" and faults.strikes("COMMIT"):
                return faults._fail(connection, lambda: commit(connection))
            return commit(connection)

        CursorWrapper._execute = _execute
        BaseDatabaseWrapper._commit = _commit
        self._undo = (run_one, commit)

    def end(self) -> None:
        """Step aside."""
        CursorWrapper._execute, BaseDatabaseWrapper._commit = self._undo

    def __str__(self) -> str:
        return f"{self.kind} at {self.of!r}, {self._share:g} of all, seed {self._seed}"

    def _fail(self, connection: Any, act: Any) -> Any:
        if self.kind == "killed":
            pid = connection.connection.info.backend_pid
            with psycopg.connect(_address(connection), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            return act()
        if self.kind == "lost-after":
            act()
        with connection.wrap_database_errors:
            if self.kind == "locked":
                raise sqlite3.OperationalError("database is locked")
            if self.kind in _CODES:
                raise psycopg.errors.lookup(_CODES[self.kind])("injected")
            connection.connection.close()
            raise psycopg.OperationalError("the connection is lost: injected")


def shape(sql: str) -> str:
    """Return what kind of statement it is, without its values."""
    return re.sub(r"[-\d.]+|(%s(, )?)+|(\(\?\)(, )?)+", "?", sql)


def find_origin() -> str:
    """Return which function a transaction belongs to; by their words all begin and commit alike."""
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        room = frame.f_globals.get("__name__", "")
        if room.startswith("durable_django.") and room not in _DOORS:
            return f"{room}.{frame.f_code.co_name}"
    return "the project"


def _address(connection: Any) -> str:
    from tests.databases import make_url

    return make_url(connection.alias)
