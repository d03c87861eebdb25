from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from celery import Celery

from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.plugins.services import Broker

pytestmark = [pytest.mark.process, pytest.mark.parametrize("store", ["postgres"], indirect=True)]


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_that_is_asked_to_stop_hands_its_run_over(
    lab: Lab, project: Callable[..., Project], broker: Broker, use_celery: Callable[..., Celery], pool: str
) -> None:
    """At a deploy a run leaves at its next step and goes on elsewhere at once, long before its lease ends."""
    place = project(broker, [LAB], LEASE_SECONDS=60)
    old = place.start_worker(concurrency=1, pool=pool)
    use_celery(broker)
    lab.send("slow", steps=60, pause=0.05)
    lab.wait_for("step", 5)
    new = place.start_worker(concurrency=1, pool=pool)
    os.kill(old.pid, signal.SIGTERM)
    (run,) = lab.wait_for_end(timeout=20)
    assert run.token == 2
    assert [number for _, _, number in lab.read()] == list(range(60))
    assert new.returncode is None
