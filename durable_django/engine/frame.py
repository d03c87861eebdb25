"""What surrounds one call of a step's function: its key for outside calls, and its deadline.

Note [A thread cannot be ended from outside]
    A coroutine is cancelled at its deadline. A plain function goes on to its end, holding its thread; what it
    returns after the deadline is discarded and counts as a failed attempt. In an atomic step on PostgreSQL
    the server ends the statement that is running at the deadline, and the transaction is rolled back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..exceptions import StepTimeout
from ..ids import derive_id

QUERY_CANCELED = "57014"


@dataclass(slots=True)
class Frame:
    """One attempt of one step. ``timeout`` is in seconds and counts from ``began``."""

    run_id: UUID
    step: str
    index: int
    timeout: float | None = None
    began: float = field(default_factory=time.monotonic)

    def make_key(self) -> str:
        """Return the idempotency key of the step for services outside."""
        return str(derive_id("step", self.run_id, self.step, self.index))

    def start(self) -> Frame:
        """Return the same frame with the clock set back; the wait for a free thread does not count."""
        return self if self.timeout is None else replace(self, began=time.monotonic())

    @property
    def left(self) -> float | None:
        """The seconds until the deadline, or None without one."""
        return None if self.timeout is None else self.began + self.timeout - time.monotonic()

    def check(self) -> None:
        """Refuse a result that comes after the deadline.

        Raises:
            StepTimeout: The deadline has passed.
        """
        left = self.left
        if left is not None and left <= 0:
            raise self.late()

    def late(self) -> StepTimeout:
        """Return the error of an attempt that took too long."""
        return StepTimeout(step=self.step, timeout=self.timeout)


async def await_within(frame: Frame, result: Awaitable[Any]) -> Any:
    """Await the result of a step's coroutine, which is cancelled at the deadline.

    Raises:
        StepTimeout: The deadline passed.
    """
    if frame.timeout is None:
        return await result
    try:
        async with asyncio.timeout(frame.left) as scope:
            value = await result
    except TimeoutError as error:
        if scope.expired():
            raise frame.late() from error
        raise
    frame.check()
    return value


@contextmanager
def limited_statements(using: str, frame: Frame) -> Iterator[None]:
    """Let no statement on the database outlive the deadline, within a transaction on PostgreSQL.

    Raises:
        StepTimeout: A statement was ended at the deadline, or would have begun after it.
    """
    connection = connections[using]
    if frame.timeout is None or connection.vendor != "postgresql":
        yield
        return
    before = _read_limit(connection)

    def limit(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        frame.check()
        _set_limit(connection, f"{max(1, int((frame.left or 0) * 1000))}ms")
        return execute(sql, params, many, context)

    try:
        with connection.execute_wrapper(limit):
            yield
    except DatabaseError as error:
        if getattr(error.__cause__, "sqlstate", "") == QUERY_CANCELED and (frame.left or 0) <= 0.01:
            raise frame.late() from error
        raise
    _set_limit(connection, before)


def _read_limit(connection: BaseDatabaseWrapper) -> str:
    with connection.cursor() as handle:
        handle.execute("SELECT current_setting('statement_timeout')")
        return str(handle.fetchone()[0])


def _set_limit(connection: BaseDatabaseWrapper, value: str) -> None:
    # Past Django's cursor, whose wrappers would call us again. It ends with the transaction.
    with connection.connection.cursor() as handle:
        handle.execute("SELECT set_config('statement_timeout', %s, true)", [value])
