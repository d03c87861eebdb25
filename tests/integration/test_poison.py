"""A run that kills its workers is quarantined after CRASH_LIMIT deaths and hurts no neighbour (F43 to F45, P9)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery

from durable_django.define.registry import Registry
from durable_django.define.workflow import Workflow
from durable_django.models import Attempt
from durable_django.models.run import ENDED
from tests.plugins.lab import Lab
from tests.plugins.processes import Project
from tests.plugins.services import Broker
from tests.processes import Process
from tests.waiting import wait_until

pytestmark = pytest.mark.process

LIMIT = 3
QUICK = {"LEASE_SECONDS": 3.0, "TICK_SECONDS": 0.2, "RENUDGE_SECONDS": 0.5, "CRASH_LIMIT": LIMIT}
APP = "tests.poison_app"

Make = Callable[..., Project]


@pytest.fixture(autouse=True)
def poison_workflows(registry: Registry) -> None:
    from tests.poison_app import workflows

    for each in vars(workflows).values():
        if isinstance(each, Workflow):
            registry.add(each)


def wait_for_ends(lab: Lab, number: int, keep_up: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Return the poisoned run when all runs have ended; ``keep_up`` starts what has died."""

    def look() -> bool:
        keep_up()
        return bool(lab.runs.filter(status__in=ENDED).count() == number)

    try:
        wait_until(look, 100, "the end of all runs")
    except TimeoutError as error:
        raise AssertionError(
            f"{error}: {list(lab.runs.values('workflow', 'status', 'crash_count'))}"
        ) from error
    return lab.runs.values("id", "status", "owner", "result__error").get(workflow="poison")


def assert_quarantined(lab: Lab, run: dict[str, Any]) -> None:
    assert (run["status"], run["owner"]) == ("failed", "")
    assert json.loads(run["result__error"])["code"] == "run_quarantined"
    assert len(lab.read("die")) == LIMIT


def test_neighbours_in_one_process_survive_a_poisoned_run(
    lab: Lab, project: Make, configure: Callable[..., None]
) -> None:
    """Runs that die with the poison again and again, on threads of one worker, are not taken for poison."""
    configure(**QUICK, DISPATCHER="local")
    place = project(apps=[APP], **QUICK, DISPATCHER="local")
    started: list[Process] = []

    def keep_up() -> None:
        if not started or started[-1].returncode is not None:
            started.append(place.start_manage("durable", "worker"))

    for _ in range(3):
        lab.send("neighbour", seconds=4)
    lab.send("poison", how="segfault", where="step")
    assert_quarantined(lab, wait_for_ends(lab, 4, keep_up))
    assert {run.status for run in lab.runs.filter(workflow="neighbour")} == {"completed"}
    assert len(started) > LIMIT


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.parametrize(
    ("how", "where"),
    [
        ("segfault", "step"),
        ("segfault", "workflow"),
        ("abort", "step"),
        ("exit", "workflow"),
        ("killed", "step"),
    ],
)
def test_a_poisoned_run_is_quarantined(
    lab: Lab, project: Make, broker: Broker, use_celery: Callable[..., Celery], how: str, where: str
) -> None:
    """However it kills its child of a prefork pool, the worker lives on and the others complete."""
    worker = project(broker, [APP], **QUICK).start_worker(concurrency=2)
    use_celery(broker)
    lab.send("poison", how=how, where=where)
    for _ in range(4):
        lab.send("neighbour", seconds=0.5)
    assert_quarantined(lab, wait_for_ends(lab, 5))
    assert {run.status for run in lab.runs.filter(workflow="neighbour")} == {"completed"}
    assert worker.returncode is None


def test_too_much_memory_is_a_failed_attempt(lab: Lab, project: Make, configure: Callable[..., None]) -> None:
    """MemoryError, the end of the address space, is an error like any other: attempts, then failure."""
    configure(**QUICK, DISPATCHER="local")
    worker = project(apps=[APP], **QUICK, DISPATCHER="local").start_manage("durable", "worker")
    lab.send("poison", how="memory", where="step")
    lab.send("neighbour", seconds=0.5)
    assert wait_for_ends(lab, 2)["status"] == "failed"
    failed = Attempt.objects.using(lab.store.alias).values_list("error_type", flat=True)
    assert list(failed) == ["MemoryError"] * 2
    assert worker.returncode is None
