"""Statements that the server plans once a connection, for those that are sent one row at a time.

Note [A prepared statement is named by what it says]
    Parsing and planning cost more than inserting one row. Behind a pooler that hands out server connections by
    transaction, a name may meet a statement that another client prepared; since the name is a hash of the
    text, that is the same statement. Where a name is unknown the statement is sent as it is, and after some
    of those this process prepares no more. In a transaction nothing is prepared: an error would end it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b
from itertools import count
from typing import Any, Final
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connections

USES: Final = 2
"""Uses on one connection before a statement is prepared there; a connection may live for one run only."""
LONGEST_PATIENCE: Final = 5
UNKNOWN: Final = "26000"
KNOWN_ALREADY: Final = "42P05"

_uses: WeakKeyDictionary[Any, dict[str, int]] = WeakKeyDictionary()
_lost = count(1)
_off = False


class Statement:
    """An SQL text with ``%s`` for each parameter, every one of them with a cast.

    Args:
        sql: The text.
        what: What operators are shown, as a comment, whether or not it is prepared.
    """

    __slots__ = ("_execute", "_name", "_prepare", "_sql")

    def __init__(self, sql: str, what: str) -> None:
        numbers = count(1)
        numbered = re.sub("%s", lambda _: f"${next(numbers)}", sql)
        self._sql = f"{sql} /* {what} */"
        self._name = f"durable_{blake2b(sql.encode(), digest_size=12).hexdigest()}"
        self._prepare = f"PREPARE {self._name} AS {numbered}"
        marks = ", ".join(["%s"] * (next(numbers) - 1))
        self._execute = f"EXECUTE {self._name} ({marks}) /* {what} */"

    def execute(self, using: str, handle: Any, params: Sequence[Any]) -> None:
        """Execute the statement on a cursor of the alias."""
        connection = connections[using]
        if _off or not _may_prepare(connection) or not self._is_prepared(connection):
            handle.execute(self._sql, params)
            return
        try:
            handle.execute(self._execute, params)
        except DatabaseError as error:
            if _read_state(error) != UNKNOWN:
                raise
            _forget(connection.connection)
            handle.execute(self._sql, params)

    def _is_prepared(self, connection: Any) -> bool:
        uses = _uses.setdefault(connection.connection, {})
        used = uses.get(self._name, 0) + 1
        if used == USES:
            try:
                with connection.wrap_database_errors:
                    connection.connection.execute(self._prepare)
            except DatabaseError as error:
                if _read_state(error) != KNOWN_ALREADY:
                    raise
        uses[self._name] = used
        return used >= USES


def _may_prepare(connection: Any) -> bool:
    if connection.in_atomic_block or not connection.autocommit:
        return False
    from psycopg import ClientCursor

    # EXECUTE takes no parameters of the protocol, which is how other cursors send them (server_side_binding).
    return issubclass(connection.connection.cursor_factory, ClientCursor)


def _forget(raw: Any) -> None:
    global _off
    _uses.pop(raw, None)
    _off = next(_lost) >= LONGEST_PATIENCE


def _read_state(error: DatabaseError) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)
