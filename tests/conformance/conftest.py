"""Fixtures of the conformance suite: a stage for one case, and one real worker a store and session."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_django import workflow
from durable_django.dispatch.local import Runner
from durable_django.testing import reset_clock
from tests.bodies import MAKERS, make
from tests.conformance.case import Case
from tests.conformance.stage import Stage
from tests.conformance.versions import DONE
from tests.databases import end_sessions_of_processes
from tests.plugins.processes import Project, make_env
from tests.plugins.services import Broker, need
from tests.plugins.store import Store
from tests.services import SERVICES

QUICK = {"LEASE_SECONDS": 5, "TICK_SECONDS": 0.1, "RENUDGE_SECONDS": 1.0}


@pytest.fixture(autouse=True)
def real_time() -> Iterator[None]:
    """Take back the time that a case let pass."""
    yield
    reset_clock()


@pytest.fixture
def make_stage(store: Store, tmp_path: Path) -> Callable[[Case, str, str], Stage]:
    """Return a stage on which the case's workflows are declared."""

    def make(case: Case, kind: str, engine: str) -> Stage:
        return Stage(case, kind, engine, store.alias, tmp_path, case.declare(kind))

    return make


@pytest.fixture
def local_worker(store: Store, configure: Callable[..., None]) -> Iterator[None]:
    """A worker with real threads in this process."""
    configure(**QUICK, DISPATCHER="local")
    runner = Runner(store.alias, threads=4, tasks=16)
    runner.start()
    yield
    runner.stop()


@pytest.fixture
def celery_worker(
    store: Store,
    tmp_path: Path,
    use_celery: Callable[..., Any],
    configure: Callable[..., None],
) -> Iterator[Project]:
    """A real worker process that serves every program of the table.

    It ends with its test: its tick would wake the runs of the tests that come after.
    """
    need("redis")
    broker = Broker("redis", SERVICES["redis"].url, f"durable-conformance-{uuid.uuid4().hex[:12]}")
    project = Project(make_env(store.url, broker, ["tests.conformance"], QUICK), tmp_path, broker.queue)
    project.start_worker(concurrency=6, pool="threads")
    use_celery(broker)
    configure(**QUICK)
    yield project
    for process in project.started:
        process.kill()
    end_sessions_of_processes(store.alias)


@pytest.fixture(params=list(MAKERS))
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of workflow function: ``def`` or ``async def``."""
    return str(request.param)


@pytest.fixture
def deploy(kind: str, store: Store, registry: Any) -> Callable[..., Any]:
    """Put a version of the workflow ``flow`` in place of the last one, or take it away."""
    DONE.clear()

    def put(body: Any = None, *, as_kind: str = kind, **options: Any) -> Any:
        registry.restore({})
        return None if body is None else workflow(id="flow", **options)(make(as_kind, body))

    return put
