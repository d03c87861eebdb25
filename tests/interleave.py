from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections


@contextmanager
def before(alias: str, part: str, act: Callable[[], Any]) -> Iterator[None]:
    """Act once, before this thread's first statement that contains ``part``; fail if none does."""
    armed = [True]

    def wrap(execute: Any, sql: str, *rest: Any) -> Any:
        if armed and part in sql:
            armed.clear()
            act()
        return execute(sql, *rest)

    with connections[alias].execute_wrapper(wrap):
        yield
    assert not armed, f"no statement contained {part!r}"
