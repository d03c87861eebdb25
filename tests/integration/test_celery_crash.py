from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable

import pytest
from celery import Celery

from durable_django.models import Step
from tests.app.models import Effect
from tests.databases import end_other_sessions
from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.plugins.services import Broker
from tests.processes import Process

pytestmark = [pytest.mark.process, pytest.mark.parametrize("store", ["postgres"], indirect=True)]

QUICK = {"LEASE_SECONDS": 4, "TICK_SECONDS": 0.3, "RENUDGE_SECONDS": 0.5}

Make = Callable[..., Project]
Use = Callable[..., Celery]


def kill_at_gate(lab: Lab, place: Project, broker: Broker, worker: Process) -> None:
    """Kill the worker in the middle of the gate's step, and take the broker's memory too."""
    lab.wait_for("gate")
    worker.kill()
    broker.purge()
    lab.open_gate()
    place.start_worker(concurrency=1)


@pytest.mark.parametrize("acks", ["early", "late"])
def test_a_killed_worker_costs_one_execution_of_one_step(
    lab: Lab, project: Make, broker: Broker, use_celery: Use, acks: str
) -> None:
    """SIGKILL in a plain step: that step runs again under the same identity, completed steps do not.

    That the project lets Celery acknowledge late, and brokers deliver the message again, changes nothing.
    """
    place = project(broker, [LAB], **QUICK)
    place.env |= {"DURABLE_TEST_ACKS_LATE": str(acks == "late")}
    worker = place.start_worker(concurrency=1)
    use_celery(broker)
    lab.send("gate")
    kill_at_gate(lab, place, broker, worker)
    (run,) = lab.wait_for_end()
    counts = Counter((run_id, step, *more) for run_id, step, *more in lab.read())
    own = str(run.id)
    assert counts == {
        (own, "before"): 1,
        (own, "gate", "begin"): 2,
        (own, "gate", "end"): 1,
        (own, "after"): 1,
    }
    assert run.token == 2


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_a_killed_worker_leaves_nothing_of_an_atomic_step(
    lab: Lab, project: Make, broker: Broker, use_celery: Use
) -> None:
    """SIGKILL inside an atomic step: its rows are there exactly once, although its function began twice."""
    place = project(broker, [LAB], **QUICK)
    worker = place.start_worker(concurrency=1)
    use_celery(broker)
    lab.send("atomic")
    kill_at_gate(lab, place, broker, worker)
    (run,) = lab.wait_for_end()
    assert [more for _, _, *more in lab.read("gate")] == [["begin"], ["begin"], ["end"]]
    rows = Effect.objects.using(lab.store.alias).values_list("key", "run")
    assert list(rows) == [("gate", str(run.id))]


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_a_worker_that_comes_back_from_the_dead_writes_nothing(
    lab: Lab, project: Make, broker: Broker, use_celery: Use
) -> None:
    """A worker that was frozen past its lease ends its step in vain: the result is the other worker's."""
    place = project(broker, [LAB], **QUICK)
    zombie = place.start_worker(concurrency=1)
    use_celery(broker)
    lab.send("gate")
    lab.wait_for("gate")
    zombie.send(signal.SIGSTOP)
    lab.open_gate()
    place.start_worker(concurrency=1)
    (run,) = lab.wait_for_end()
    before = read_truth(lab)
    zombie.send(signal.SIGCONT)
    lab.wait_for("gate", 4)
    zombie.wait_for("succeeded in")  # Celery's word for a task that returned, as one that lost its run does
    assert read_truth(lab) == before
    assert len(lab.read("after")) == 1
    assert run.token == 2


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_a_worker_survives_a_database_that_drops_it(
    lab: Lab, project: Make, broker: Broker, use_celery: Use
) -> None:
    """A database that ends every session of a worker, again and again, costs neither the run nor the tick."""
    worker = project(broker, [LAB], **QUICK).start_worker(concurrency=1)
    use_celery(broker)
    lab.send("nap", naps=4, nap=200)
    for number in range(1, 4):
        lab.wait_for("step", number)
        end_other_sessions(lab.store.connection)
    lab.wait_for_end()
    assert [number for _, _, number in lab.read("step")] == [0, 1, 2, 3]
    assert worker.returncode is None


def read_truth(lab: Lab) -> list[object]:
    """Return all that is stored about runs and steps."""
    steps = Step.objects.using(lab.store.alias).order_by("run_id", "name", "index").values()
    return [*lab.runs.values(), *lab.runs.values("result__output"), *steps]
