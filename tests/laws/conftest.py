"""Fixtures for the laws: each is proved for ``def`` and ``async def`` workflows, from one body."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from durable_django import workflow
from durable_django.define.workflow import Workflow
from durable_django.testing import reset_clock
from tests.bodies import MAKERS, Body, make
from tests.plugins.store import Store


@pytest.fixture(params=list(MAKERS))
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of workflow function: ``def`` or ``async def``."""
    return str(request.param)


@pytest.fixture
def declare(kind: str, store: Store) -> Callable[..., Any]:
    """Declare a workflow of each kind from one body: ``@declare(**options)`` over ``x = yield ctx.step…``."""

    def with_options(**options: Any) -> Callable[[Body], Workflow[Any, Any]]:
        def decorate(body: Body) -> Workflow[Any, Any]:
            name = options.pop("id", body.__name__)
            return workflow(id=name, **options)(make(kind, body))  # type: ignore[no-any-return]

        return decorate

    return with_options


@pytest.fixture
def elsewhere() -> Callable[..., Any]:
    """Call a function as another process would: in a thread with connections of its own."""

    def call(function: Callable[..., Any], *args: Any) -> Any:
        def run() -> Any:
            try:
                return function(*args)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(run).result(60)

    return call


@pytest.fixture(autouse=True)
def real_time() -> Iterator[None]:
    """Take back the time that a test let pass."""
    yield
    reset_clock()
