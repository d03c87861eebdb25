"""Ambiguous commits: the server has done what it was asked, and the line breaks before it says so."""

from __future__ import annotations

import logging
import random
from typing import Any

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

logger = logging.getLogger("tests.chaos")

MARK = "chaos: executed, but the answer is lost"


def install(share: float) -> None:
    """Lose the answer to that share of the commits of this process, with the connection."""

    def prepare(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        if connection.vendor != "postgresql" or hasattr(connection, "chaos"):
            return  # SQLite has no line that could break
        connection.chaos = True  # type: ignore[attr-defined]
        connection.execute_wrappers.append(lambda *call: _execute(connection, share, *call))
        commit = connection._commit

        def lossy_commit() -> None:
            commit()
            _perhaps_lose(connection, share)

        connection._commit = lossy_commit  # type: ignore[method-assign]

    connection_created.connect(prepare, weak=False)


def _execute(connection: BaseDatabaseWrapper, share: float, execute: Any, sql: Any, *rest: Any) -> Any:
    result = execute(sql, *rest)
    if not connection.in_atomic_block and "durable_django" in str(sql) and not str(sql).startswith("SELECT"):
        _perhaps_lose(connection, share)
    return result


def _perhaps_lose(connection: BaseDatabaseWrapper, share: float) -> None:
    if random.random() >= share:
        return
    logger.warning(MARK)
    connection.connection.close()
    raise OperationalError("the connection was cut after the server had committed")
