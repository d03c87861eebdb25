"""Statements that the server plans once a connection, for those that are sent one row at a time.

Note [A prepared statement is named by what it says]
    Parsing and planning cost more than inserting one row. Behind a pooler that hands out server connections by
    transaction, a name may meet a statement that another client prepared; since the name is a hash of the
    text, that is the same statement. Where a name is unknown the statement is sent as it is, and after some
    of those this process prepares no more. In a transaction nothing is prepared: an error would end it.

Note [The hottest statements go past the cursor]
    The cursors of Django and of the driver take several times as long as the server takes for a row. So
    ``Statement.run`` hands a prepared statement to libpq itself, unless somebody may want to see it pass: an execute
    wrapper, the log of queries, a cursor class of another's. The thread then waits inside libpq, so it is not
    done where the driver waits in Python, as under gevent.
    https://www.psycopg.org/psycopg3/docs/api/pq.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import count
from typing import Any, Final
from uuid import UUID
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


class Answer:
    """What a statement did: ``count``, the number of its rows, and what it returned of them."""

    __slots__ = ("_found", "count")

    def __init__(self, count: int, found: Any) -> None:
        self.count = count
        self._found = found

    def read_rows(self) -> list[tuple[str, ...]]:
        """Return the rows as text."""
        if isinstance(self._found, list):
            return [tuple(map(str, row)) for row in self._found]
        width = range(self._found.nfields)
        return [
            tuple([(self._found.get_value(row, column) or b"").decode() for column in width])
            for row in range(self._found.ntuples)
        ]


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

    def run(self, using: str, params: Sequence[Any]) -> Answer:
        """Execute the statement on the alias, by the shortest way; what it returns must not be NULL."""
        connection = connections[using]
        connection.ensure_connection()
        if not _is_unwatched(connection):
            with connection.cursor() as handle:
                self.execute(using, handle, params)
                return Answer(handle.rowcount, handle.fetchall())
        connection.close_if_health_check_failed()
        if _off or not self._is_prepared(connection):
            return self._send(connection, params)
        try:
            with connection.wrap_database_errors:
                return _exec_prepared(connection.connection, self._name, params)
        except DatabaseError as error:
            if _read_state(error) != UNKNOWN:
                raise
            _forget(connection.connection)
            return self._send(connection, params)

    def _send(self, connection: Any, params: Sequence[Any]) -> Answer:
        with connection.cursor() as handle:
            handle.execute(self._sql, params)
            return Answer(handle.rowcount, handle.fetchall())

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


def _is_unwatched(connection: Any) -> bool:
    if connection.execute_wrappers or connection.queries_logged or not _may_prepare(connection):
        return False
    from django.db.backends.postgresql.base import Cursor
    from psycopg import waiting

    in_c = waiting.wait is getattr(waiting, "wait_c", None)
    return in_c and connection.connection.cursor_factory is Cursor


def _exec_prepared(raw: Any, name: str, params: Sequence[Any]) -> Answer:
    from psycopg import DataError, OperationalError
    from psycopg.errors import error_from_result
    from psycopg.pq import ConnStatus, ExecStatus

    values = [None if each is None else _write_text(each) for each in params]
    if any(each is not None and b"\x00" in each for each in values):
        raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    link = raw.pgconn
    result = link.exec_prepared(name.encode(), values)
    if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        return Answer(result.command_tuples or 0, result)
    if link.status != ConnStatus.OK:
        raise OperationalError(f"the connection was lost: {link.error_message.decode(errors='replace')}")
    raise error_from_result(result)


def _write_text(value: Any) -> bytes:
    if isinstance(value, str):
        return str.encode(value)
    if isinstance(value, UUID):
        return value.hex.encode()
    if isinstance(value, datetime):
        return value.isoformat().encode()
    return repr(value).encode()


def _forget(raw: Any) -> None:
    global _off
    _uses.pop(raw, None)
    _off = next(_lost) >= LONGEST_PATIENCE


def _read_state(error: DatabaseError) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)
