"""A database that stops answering for the pages, at a word from the test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from django.db import OperationalError, connections
from django.http import HttpRequest, HttpResponse

down = threading.Event()
"""Set while reads of runs fail."""


class FailingRuns:
    """Lets each statement on runs fail while ``down`` is set."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if down.is_set() and 'FROM "durable_django_run"' in sql:
                raise OperationalError("the server closed the connection")
            return execute(sql, params, many, context)

        with ExitStack() as stack:
            for connection in connections.all():
                stack.enter_context(connection.execute_wrapper(fail))
            return self.get_response(request)
