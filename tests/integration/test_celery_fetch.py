"""Answers from outside, awaited by real Celery workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from celery import Celery

from durable_django.models import Attempt, RunStatus
from tests.answering import Server, serve
from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.plugins.services import Broker
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.process,
    pytest.mark.parametrize("store", ["postgres"], indirect=True),
    pytest.mark.parametrize("broker", ["redis"], indirect=True),
]

ALLOWED = {"FETCH_ALLOW": ["http", "127.0.0.1"], "TICK_SECONDS": 0.3}

Make = Callable[..., Project]
Use = Callable[..., Celery]


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as found:
        yield found


@pytest.mark.parametrize("name", ["fetch", "afetch"])
def test_no_process_waits_with_the_run(
    lab: Lab, project: Make, broker: Broker, use_celery: Use, server: Server, name: str
) -> None:
    """The only process of a worker executes other runs while it awaits an answer, which is asked for once."""
    project(broker, [LAB], **ALLOWED).start_worker(concurrency=1)
    use_celery(broker)
    lab.send(name, url=f"{server.url}/gate")
    assert server.arrived.acquire(timeout=60)
    lab.send("steps", steps=2)
    lab.wait_for("step", 2)
    server.gate.set()
    lab.wait_for_end(2)
    assert len(server.got) == 1


def test_a_worker_that_stops_gives_the_run_back(
    lab: Lab, project: Make, broker: Broker, use_celery: Use, server: Server
) -> None:
    """A run whose answer the worker does not live to see goes to another worker at once, not as a crash."""
    place = project(broker, [LAB], LEASE_SECONDS=120, **ALLOWED)
    worker = place.start_worker(concurrency=1)
    use_celery(broker)
    lab.send("fetch", url=f"{server.url}/gate")
    assert server.arrived.acquire(timeout=60)
    worker.stop()
    wait_until(lambda: lab.runs.get().status == RunStatus.QUEUED, 10, "the run to be given back")
    assert lab.runs.get().crash_count == 0
    server.gate.set()
    place.start_worker(concurrency=1)
    lab.wait_for_end()
    assert not Attempt.objects.using(lab.store.alias).exists()
