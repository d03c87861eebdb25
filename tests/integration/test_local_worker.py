"""``manage.py durable worker`` as real processes, without any service on SQLite."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable

import pytest

from durable_django.engine.operations import pause_workflow, resume_workflow
from durable_django.models import RunStatus
from tests.app.models import Effect
from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.processes import Process
from tests.waiting import wait_until

pytestmark = pytest.mark.process

QUICK = {"LEASE_SECONDS": 4, "TICK_SECONDS": 0.2, "RENUDGE_SECONDS": 0.5, "DISPATCHER": "local"}

Make = Callable[..., Project]


@pytest.fixture
def start_worker(project: Make, configure: Callable[..., None]) -> Callable[[], Process]:
    """Start a worker of this host; this process wakes it through the same sockets."""
    configure(**QUICK)
    place = project(apps=[LAB], **QUICK)
    return lambda: place.start_manage("durable", "worker")


def test_a_killed_worker_costs_one_execution_of_one_step(
    lab: Lab, start_worker: Callable[[], Process]
) -> None:
    """SIGKILL in a plain step: that step runs again under the same identity, completed steps do not."""
    worker = start_worker()
    lab.send("gate")
    lab.wait_for("gate")
    worker.kill()
    lab.open_gate()
    start_worker()
    (run,) = lab.wait_for_end()
    own = str(run.id)
    assert Counter((run_id, step, *more) for run_id, step, *more in lab.read()) == {
        (own, "before"): 1,
        (own, "gate", "begin"): 2,
        (own, "gate", "end"): 1,
        (own, "after"): 1,
    }
    assert run.token == 2


def test_a_killed_worker_leaves_nothing_of_an_atomic_step(
    lab: Lab, start_worker: Callable[[], Process]
) -> None:
    """SIGKILL inside an atomic step: its rows are there exactly once, although its function began twice."""
    worker = start_worker()
    lab.send("atomic")
    lab.wait_for("gate")
    worker.kill()
    lab.open_gate()
    start_worker()
    (run,) = lab.wait_for_end()
    assert [more for _, _, *more in lab.read("gate")] == [["begin"], ["begin"], ["end"]]
    assert list(Effect.objects.using(lab.store.alias).values_list("key", "run")) == [("gate", str(run.id))]


def test_a_frozen_worker_writes_nothing_when_it_comes_back(
    lab: Lab, start_worker: Callable[[], Process]
) -> None:
    """A worker that was stopped past its lease ends its step in vain: the result is the other worker's."""
    zombie = start_worker()
    lab.send("gate")
    lab.wait_for("gate")
    zombie.send(signal.SIGSTOP)
    lab.open_gate()
    start_worker()
    (run,) = lab.wait_for_end()
    output = run.result.output
    zombie.send(signal.SIGCONT)
    lab.wait_for("gate", 4)
    zombie.send(signal.SIGTERM)
    zombie.wait()
    run.refresh_from_db()
    assert (run.token, run.status, run.result.output) == (2, "completed", output)
    assert len(lab.read("after")) == 1


def test_a_stopped_worker_gives_its_runs_back_at_once(lab: Lab, start_worker: Callable[[], Process]) -> None:
    """SIGTERM: the run leaves at its next step and another worker goes on, without a crash being counted."""
    first = start_worker()
    lab.send("slow", steps=20, pause=0.2)
    lab.wait_for("step", 2)
    first.send(signal.SIGTERM)
    assert first.wait() == 0
    done = len(lab.read("step"))
    start_worker()
    (run,) = lab.wait_for_end()
    assert [number for _, _, number in lab.read("step")] == list(range(20))
    assert 2 <= done < 20
    assert (run.token, run.crash_count) == (2, 0)


def test_four_workers_share_two_hundred_runs(lab: Lab, start_worker: Callable[[], Process]) -> None:
    """200 runs of 10 steps with 4 workers: each step of each run is executed exactly once, in order."""
    workers = [start_worker() for _ in range(4)]
    for _ in range(200):
        lab.send("steps", steps=10)
    runs = lab.wait_for_end(200, timeout=100.0)
    ledger: dict[str, list[int]] = {}
    for run_id, _, number in lab.read("step"):
        ledger.setdefault(run_id, []).append(number)
    assert ledger == {str(run.id): list(range(10)) for run in runs}
    assert all(worker.returncode is None for worker in workers)


def test_a_pause_stops_a_worker_before_its_next_step(lab: Lab, start_worker: Callable[[], Process]) -> None:
    """The step in progress in another process is kept, the next one begins only after the resumption."""
    start_worker()
    lab.send("gate")
    lab.wait_for("gate")
    pause_workflow("process-gate", running="stop", actor="test")
    lab.send("gate")
    lab.open_gate()
    wait_until(lambda: lab.runs.filter(status=RunStatus.PAUSED).count() == 2, 30, "both runs are paused")
    assert [step for _, step, *_ in lab.read()] == ["before", "gate", "gate"]
    resume_workflow("process-gate", actor="test")
    first, second = lab.wait_for_end(2)
    assert Counter(step for _, step, *_ in lab.read()) == {"before": 2, "gate": 4, "after": 2}
    assert (first.token, second.token) == (2, 1)
