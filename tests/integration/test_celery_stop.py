from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from celery import Celery

from durable_django.models import Attempt
from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.plugins.services import Broker
from tests.waiting import wait_until

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
    lab.send("slow", steps=900, pause=0.05)
    lab.wait_for("step", 5)
    new = place.start_worker(concurrency=1, pool=pool)
    os.kill(old.pid, signal.SIGTERM)
    wait_until(lambda: lab.runs.filter(token=2).exists(), what="the other worker")
    lab.wait_for("step", len(lab.read()) + 5)
    numbers = [number for _, _, number in lab.read()]
    assert numbers == list(range(len(numbers)))
    assert new.returncode is None


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.parametrize("gate", ["gate", "agate", "atomic"])
def test_a_signal_to_every_process_is_no_failure_of_the_step(
    lab: Lab, project: Callable[..., Project], broker: Broker, use_celery: Callable[..., Celery], gate: str
) -> None:
    """SIGTERM to the children too, as systemd sends it, ends the step in the middle: it goes on elsewhere at once."""
    place = project(broker, [LAB], LEASE_SECONDS=60)
    old = place.start_worker(concurrency=1)
    use_celery(broker)
    lab.send(gate)
    lab.wait_for("gate")
    place.start_worker(concurrency=1)
    old.send(signal.SIGTERM)
    lab.wait_for("gate", 2)
    lab.open_gate()
    (run,) = lab.wait_for_end()
    assert [more for _, _, *more in lab.read("gate")] == [["begin"], ["begin"], ["end"]]
    assert run.token == 2
    assert not Attempt.objects.using(lab.store.alias).exists()
