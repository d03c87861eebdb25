"""A statement about the tables that must find no row, and how it is asked without harm.

Note [A check never stands in the way]
    Each invariant is one statement, so it sees one moment of the tables and holds nothing from one to the
    next. It reads only, takes no lock that a writer waits for, and gives up after a time: a table too large to
    be read in that time is reported as not checked, never as in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from django.db import OperationalError, connections, transaction

from ..clock import later_sql, now_sql
from .base import cursor, is_postgres, read_id

Severity = Literal["error", "warning"]
_IDS = frozenset({"run", "event", "child", "parent"})
_PROGRESS_STEPS = 10_000  # instructions of SQLite's machine between two looks at the clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a statement is built from: the vendor, and how long something may be late, in seconds."""

    vendor: str
    late: float

    @property
    def now(self) -> str:
        """The SQL of the present instant."""
        return now_sql(self.vendor)

    @property
    def overdue(self) -> str:
        """The SQL of the instant before which what was due is late."""
        return later_sql(self.vendor, repr(-self.late))

    def before(self, column: str, other: str, seconds: float = 1.0) -> str:
        """Return the condition that an instant lies more than ``seconds`` before another."""
        if self.vendor == "sqlite":
            return f"julianday({column}) < julianday({other}) - {seconds!r} / 86400.0"
        return f"{column} < {other} - {seconds!r} * interval '1 second'"

    def size(self, column: str) -> str:
        """Return the SQL of the bytes of a text."""
        return f"length(CAST({column} AS BLOB))" if self.vendor == "sqlite" else f"octet_length({column})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """What must hold, and what to do when it does not.

    ``build`` returns a SELECT of the rows that break it. ``live`` tells that it holds at every moment;
    otherwise only once all work is done. ``vendor`` names the only one that it can be asked of.
    """

    id: str
    title: str
    remedy: str
    build: Callable[[Ask], str]
    severity: Severity = "error"
    live: bool = True
    vendor: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """How many rows break an invariant, and the first of them."""

    count: int
    rows: Sequence[dict[str, Any]]


class TookTooLong(Exception):
    """A statement did not end within its time."""


def find_rows(using: str, sql: str, *, limit: int, seconds: float) -> Found:
    """Return up to ``limit`` rows of a SELECT, and the number of all.

    Raises:
        TookTooLong: It did not end within ``seconds``.
    """
    with _bounded(using, seconds), cursor(using) as handle:
        handle.execute(f"SELECT * FROM ({sql}) found LIMIT {limit + 1:d}", [])
        names = [column[0] for column in handle.description]
        rows = [dict(zip(names, map(_read, names, row), strict=True)) for row in handle.fetchall()]
        count = len(rows)
        if count > limit:
            handle.execute(f"SELECT count(*) FROM ({sql}) found", [])
            count = handle.fetchone()[0]
    return Found(count, rows[:limit])


def _read(name: str, value: Any) -> Any:
    return read_id(value) if name in _IDS and value is not None else value


@contextmanager
def _bounded(using: str, seconds: float) -> Iterator[None]:
    limits = _limit_postgres if is_postgres(using) else _limit_sqlite
    try:
        with limits(using, seconds):
            yield
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == "57014" or "interrupted" in str(error):
            raise TookTooLong from error
        raise


@contextmanager
def _limit_postgres(using: str, seconds: float) -> Iterator[None]:
    nested = connections[using].in_atomic_block
    with transaction.atomic(using=using), cursor(using) as handle:
        if not nested:
            handle.execute("SET TRANSACTION READ ONLY")
        handle.execute(f"SET LOCAL statement_timeout = {max(int(seconds * 1000), 1):d}")
        yield
        if nested:
            handle.execute("SET LOCAL statement_timeout = 0")


@contextmanager
def _limit_sqlite(using: str, seconds: float) -> Iterator[None]:
    # No transaction: with IMMEDIATE ones it would shut out writers for as long as the check lasts.
    connection = connections[using]
    connection.ensure_connection()
    deadline = time.monotonic() + seconds
    connection.connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
    try:
        yield
    finally:
        connection.connection.set_progress_handler(None, 0)
