"""A Celery worker that is drained, as an operator does it: by the command, while its runs are in progress."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable

import pytest
from celery import Celery

from durable_django.models import Attempt, Run, Worker
from durable_django.models.run import ENDED
from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.plugins.services import Broker
from tests.processes import Process

pytestmark = [pytest.mark.process, pytest.mark.parametrize("store", ["postgres"], indirect=True)]

# Leases so long that no run changes hands because one ended.
LONG = {"LEASE_SECONDS": 120, "TICK_SECONDS": 0.3, "RENUDGE_SECONDS": 0.5}
NEW = 8

Make = Callable[..., Project]
Use = Callable[..., Celery]


def drain(lab: Lab, place: Project, worker: Process, *options: str) -> str:
    """Let an operator's command drain the only worker; return its name when it has heard of it."""
    workers = Worker.objects.using(lab.store.alias).filter(kind__startswith="celery")
    row = worker.wait_until(workers.first, what="the report of the worker")
    command = place.start_manage("durable", "drain", row.name, *options)
    assert command.wait() == 0, command.text
    worker.wait_for("takes runs again" if options else "takes nothing new")
    return str(row.name)


def count_tasks(worker: Process) -> int:
    """Return how many messages the worker has done with, whether it dropped them or not."""
    return worker.text.count("succeeded in")


def is_of(worker: Process, pid: int) -> bool:
    """Tell whether a process that lives is the worker or a child of it."""
    return os.getsid(pid) == worker.pid


def find_new(lab: Lab) -> list[Run]:
    return list(lab.runs.filter(workflow="process-steps").select_related("result"))


@pytest.mark.parametrize(
    ("broker", "pool"),
    [("redis", "prefork"), ("redis", "threads"), ("rabbitmq", "prefork")],
    indirect=["broker"],
)
def test_a_drained_worker_finishes_what_it_has_and_the_rest_is_done_elsewhere(
    lab: Lab, project: Make, broker: Broker, use_celery: Use, pool: str
) -> None:
    """It drops what it hears, ends what it is in, and leaves a run that rests to the other; all is done once."""
    place = project(broker, [LAB], **LONG)
    old = place.start_worker(concurrency=3, pool=pool)
    use_celery(broker)
    lab.send("gate")
    lab.send("rest")
    lab.wait_for("gate", 2)
    name = drain(lab, place, old)

    done = count_tasks(old)
    for _ in range(NEW):
        lab.send("steps", steps=3)
    old.wait_until(lambda: count_tasks(old) >= done + 2 * NEW, what="messages that were dropped")
    assert {(run.status, run.owner, run.token) for run in find_new(lab)} == {("queued", "", 0)}

    new = place.start_worker(concurrency=2, pool=pool)
    ended = lab.runs.filter(workflow="process-steps", status__in=ENDED)
    new.wait_until(lambda: ended.count() == NEW, what="the runs that the drained one left")
    held = set(lab.runs.exclude(workflow="process-steps").values_list("owner", flat=True))
    assert {owner.partition("+")[0] for owner in held} == {name}
    lab.open_gate()
    runs = lab.wait_for_end(NEW + 2)

    outputs = {run.id: json.loads(run.result.output) for run in runs}
    for run in find_new(lab):
        assert all(is_of(new, pid) for pid in outputs[run.id])
    [gate] = [run for run in runs if run.workflow == "process-gate"]
    [rest] = [run for run in runs if run.workflow == "process-rest"]
    assert all(is_of(old, pid) for pid in outputs[gate.id].values())
    assert [is_of(old, pid) for pid in outputs[rest.id]] == [True, False]
    assert {run.token for run in runs if run != rest} == {1}
    expected = Counter((str(run.id), "step", number) for run in find_new(lab) for number in range(3))
    expected += Counter(
        (str(each.id), "gate", moment) for each in (gate, rest) for moment in ("begin", "end")
    )
    expected += Counter([(str(gate.id), "before"), (str(gate.id), "after"), (str(rest.id), "after")])
    assert Counter(map(tuple, lab.read())) == expected
    assert not Attempt.objects.using(lab.store.alias).exists()
    assert old.returncode is None


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"], indirect=True)
def test_a_drained_worker_that_is_ended_releases_its_run_at_once(
    lab: Lab, project: Make, broker: Broker, use_celery: Use
) -> None:
    """SIGTERM to it in the middle of a long run: the next step is another worker's, and no step is taken twice."""
    place = project(broker, [LAB], **LONG)
    old = place.start_worker(concurrency=1)
    use_celery(broker)
    lab.send("slow", steps=900, pause=0.05)
    lab.wait_for("step", 5)
    drain(lab, place, old)
    lab.wait_for("step", len(lab.read()) + 5)
    assert lab.runs.get().token == 1
    new = place.start_worker(concurrency=1)
    os.kill(old.pid, signal.SIGTERM)
    new.wait_until(lambda: lab.runs.filter(token=2).exists(), what="the other worker")
    lab.wait_for("step", len(lab.read()) + 5)
    numbers = [number for _, _, number in lab.read()]
    assert numbers == list(range(len(numbers)))
    assert not Attempt.objects.using(lab.store.alias).exists()


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_a_worker_takes_runs_again_when_the_draining_is_taken_back(
    lab: Lab, project: Make, broker: Broker, use_celery: Use
) -> None:
    """What was announced meanwhile is announced again, and executed once."""
    place = project(broker, [LAB], **LONG)
    worker = place.start_worker(concurrency=1)
    use_celery(broker)
    drain(lab, place, worker)
    done = count_tasks(worker)
    lab.send("steps", steps=3)
    worker.wait_until(lambda: count_tasks(worker) >= done + 2, what="messages that were dropped")
    assert lab.read() == []
    drain(lab, place, worker, "--undo")
    (run,) = lab.wait_for_end()
    assert lab.read() == [[str(run.id), "step", number] for number in range(3)]
