from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durable_django import send_event
from durable_django.models import Run, Worker
from tests import ledger
from tests.commands import run_durable
from tests.plugins.processes import Project
from tests.processes import Process
from tests.waiting import wait_until

pytestmark = pytest.mark.process

APP = "tests.process_app"


@pytest.fixture
def flows(registry: Any, configure: Callable[..., None]) -> None:
    """The workflows of the processes, known here too, so that events sent here start their runs there."""
    from durable_django.define.workflow import Workflow
    from tests.process_app import workflows

    configure(DISPATCHER="local")
    for found in vars(workflows).values():
        if isinstance(found, Workflow):
            registry.add(found)


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    return {"ledger": str(tmp_path / "ledger"), "gate": str(tmp_path / "gate")}


def start_worker(project: Project, *options: str) -> Process:
    worker = project.start_manage("durable", "worker", *options)
    worker.wait_for("Ctrl-C stops it")
    return worker


def find_run(worker: Process, status: str) -> Run:
    return worker.wait_until(lambda: Run.objects.filter(status=status).first(), what=f"a {status} run")


def test_worker_executes_and_stops(
    project: Callable[..., Project], flows: None, data: dict[str, str]
) -> None:
    """A worker says what it serves, executes what is sent, and ends with code 0 on SIGTERM."""
    worker = start_worker(project(apps=[APP]), "--threads", "3", "--tasks", "4")
    assert "serves durable" in worker.text
    assert "3 threads, 4 tasks" in worker.text
    send_event("process/steps", {**data, "steps": 3})
    find_run(worker, "completed")
    assert len(ledger.read(data["ledger"])) == 3
    assert worker.stop() == 0
    assert "Stopped." in worker.text
    assert not Worker.objects.exclude(name="tick").exists()


def test_interrupt_stops_as_well(project: Callable[..., Project]) -> None:
    """Ctrl-C ends a worker with code 0 and no traceback."""
    worker = start_worker(project(apps=[APP]))
    worker.send(signal.SIGINT)
    assert worker.wait() == 0
    assert "Traceback" not in worker.text


def test_graceful_stop_lets_the_step_finish(
    project: Callable[..., Project], flows: None, data: dict[str, str]
) -> None:
    """The first signal waits for the running step; the run is given back after it, not ended."""
    worker = start_worker(project(apps=[APP]))
    send_event("process/gate", data)
    worker.wait_until(lambda: ["gate", "begin"] in steps(data))
    worker.send(signal.SIGTERM)
    worker.wait_for("Stopping")
    Path(data["gate"]).touch()
    assert worker.wait() == 0
    assert ["gate", "end"] in steps(data)
    assert ["after"] not in steps(data)
    assert Run.objects.get().status == "queued"


def test_grace_is_bounded(project: Callable[..., Project], flows: None, data: dict[str, str]) -> None:
    """A step that outlasts the grace does not hold the worker; its run is queued for another one."""
    worker = start_worker(project(apps=[APP]), "--grace", "0.2")
    send_event("process/gate", data)
    worker.wait_until(lambda: ["gate", "begin"] in steps(data))
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert "given back" in worker.text
    assert Run.objects.get().status == "queued"


def test_second_signal_ends_at_once(
    project: Callable[..., Project], flows: None, data: dict[str, str]
) -> None:
    """The second signal does not wait for the running step."""
    worker = start_worker(project(apps=[APP]), "--grace", "3600")
    send_event("process/gate", data)
    worker.wait_until(lambda: ["gate", "begin"] in steps(data))
    worker.send(signal.SIGTERM)
    worker.wait_for("Stopping")
    worker.send(signal.SIGTERM)
    assert worker.wait() == 128 + signal.SIGTERM


def test_queues_are_served_as_named(
    project: Callable[..., Project], flows: None, data: dict[str, str]
) -> None:
    """``-q`` restricts the worker: runs of other queues stay where they are."""
    worker = start_worker(project(apps=[APP]), "-q", "one", "two")
    assert "serves one, two" in worker.text
    send_event("process/steps", {**data, "steps": 1})
    run = find_run(worker, "queued")
    Run.objects.filter(id=run.id).update(queue="two")
    wait_until(lambda: Run.objects.get(id=run.id).status == "completed", what="the run on queue two")


def test_a_worker_that_does_not_tick_is_listed_and_drained(
    project: Callable[..., Project], flows: None, data: dict[str, str]
) -> None:
    """With ``--no-tick`` it does nothing that is due for others, yet operators see it and may drain it."""
    worker = start_worker(project(apps=[APP]), "--no-tick", "--threads", "3", "--tasks", "4")
    send_event("process/nap", {**data, "naps": 1, "nap": 1})
    find_run(worker, "waiting")
    [row] = worker.wait_until(lambda: run_durable("workers", "--json").data, what="the report of the worker")
    assert (row["state"], row["kind"], row["queues"], row["slots"]) == ("live", "worker", ["durable"], 7)
    run_durable("drain", row["name"])
    worker.wait_for("this worker takes nothing new")  # with its second report: a dozen periods of a tick
    assert [each["state"] for each in run_durable("workers", "--json").data] == ["stopping"]
    assert Run.objects.get().status == "waiting"
    assert not Worker.objects.filter(name="tick").exists()
    assert worker.stop() == 0
    assert run_durable("workers", "--json").data == []


def test_bad_options_exit_with_2(project: Callable[..., Project]) -> None:
    """Sizes that make no sense are wrong usage."""
    worker = project().start_manage("durable", "worker", "--threads", "0")
    assert worker.wait() == 2
    assert "--threads" in worker.text


def steps(data: dict[str, str]) -> list[list[Any]]:
    return [line[1:] for line in ledger.read(data["ledger"])]
