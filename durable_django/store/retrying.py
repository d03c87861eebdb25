"""Repeat a store verb after a fault that says nothing about its outcome.

Note [An ambiguous commit is repeated, never guessed]
    When the connection dies during a commit nobody knows whether it happened. Each verb is written so that
    doing it twice is doing it once (unique keys, conditional updates), so it is simply repeated on a
    new connection. Inside a transaction of the caller nothing is repeated: the caller must.
"""

from __future__ import annotations

import functools
import logging
import random
import time
from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("durable_django.store")

# serialization failure, deadlock, lock not available, and the classes "connection exception",
# "operator intervention" (57P01…57P05: admin shutdown, crash, starting up) and "too many connections":
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_CODES: Final = ("40001", "40P01", "55P03", "57P", "08", "53300")
_DELAYS: Final = (0.01, 0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds; about 16 s together


def repeatable(verb: Callable[Concatenate[str, P], R]) -> Callable[Concatenate[str, P], R]:
    """Let a verb, whose first argument is the alias, survive lost connections and conflicts."""

    @functools.wraps(verb)
    def call(using: str, *args: P.args, **kwargs: P.kwargs) -> R:
        for delay in _DELAYS:
            try:
                return verb(using, *args, **kwargs)
            except (OperationalError, InterfaceError) as error:
                if not _may_repeat(using, error):
                    raise
                logger.warning("store verb is repeated", extra={"verb": verb.__name__, "error": str(error)})
                time.sleep(delay * random.uniform(0.5, 1.0))
        return verb(using, *args, **kwargs)

    return call  # type: ignore[return-value]  # its first argument has a name


def _may_repeat(using: str, error: Exception) -> bool:
    connection = connections[using]
    if connection.in_atomic_block:
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    if connection.vendor == "sqlite":
        return "locked" in str(error) or "busy" in str(error)
    if state is None:  # the server went away without a word
        connection.close()
        return True
    if state.startswith(("08", "57P")):
        connection.close()
    return bool(state.startswith(_CODES))
