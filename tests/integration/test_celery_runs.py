from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from kombu import Connection

from durable_django import __version__
from durable_django.engine.identity import owned_by
from durable_django.models import Worker
from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.plugins.services import Broker
from tests.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.parametrize("store", ["postgres"], indirect=True)]

QUICK = {"LEASE_SECONDS": 4, "TICK_SECONDS": 0.3}

Make = Callable[..., Project]
Use = Callable[..., Celery]


def test_a_worker_executes_what_is_sent(lab: Lab, project: Make, broker: Broker, use_celery: Use) -> None:
    """An event sent here is a run completed there, without waiting for a tick; the worker reports itself."""
    project(broker, [LAB], TICK_SECONDS=3_600).start_worker(concurrency=1)
    use_celery(broker)
    lab.send("steps", steps=3)
    (run,) = lab.wait_for_end()
    assert lab.read() == [[str(run.id), "step", number] for number in range(3)]
    seen = wait_until(lambda: Worker.objects.using(lab.store.alias).filter(kind="celery").first())
    assert (seen.queues, seen.slots, seen.package) == (broker.queue, 1, __version__)


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_the_runs_of_a_child_are_its_workers(
    lab: Lab, project: Make, broker: Broker, use_celery: Use, pool: str
) -> None:
    """While children execute them, the one worker that is listed has them, by the names of their owners."""
    project(broker, [LAB]).start_worker(concurrency=2, pool=pool)
    use_celery(broker)
    for _ in range(2):
        lab.send("gate")
    lab.wait_for("gate", 2)
    [worker] = wait_until(lambda: list(Worker.objects.using(lab.store.alias).filter(kind="celery")))
    owners = set(lab.runs.values_list("owner", flat=True))
    assert lab.runs.filter(owned_by(worker.name)).count() == 2
    assert owners == {worker.name} if pool == "threads" else len(owners) == 2
    lab.open_gate()
    lab.wait_for_end(2)


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_many_runs_on_several_workers(lab: Lab, project: Make, broker: Broker, use_celery: Use) -> None:
    """Where nobody dies, each step of each run is executed exactly once, by more than one process."""
    place = project(broker, [LAB])
    for _ in range(2):
        place.start_worker(concurrency=2)
    use_celery(broker)
    for _ in range(200):
        lab.send("steps", steps=10)
    runs = lab.wait_for_end(200, timeout=100)
    counts = Counter((run_id, number) for run_id, _, number in lab.read())
    assert counts == Counter((str(run.id), number) for run in runs for number in range(10))
    processes = {pid for run in runs for pid in json.loads(run.result.output)}
    assert len(processes) > 1


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_no_run_of_a_burst_waits_behind_a_long_one(
    lab: Lab, project: Make, broker: Broker, use_celery: Use, pool: str
) -> None:
    """Runs that share a message with one that takes its time go to other children; each step is done once."""
    project(broker, [LAB], RENUDGE_SECONDS=3_600).start_worker(concurrency=2, pool=pool)
    use_celery(broker)
    lab.send_burst([("gate", {}), *[("steps", {"steps": 1})] * 63])
    ended = lab.runs.filter(status="completed", workflow="process-steps")
    wait_until(lambda: ended.count() == 63, what="the end of all but the run at the gate")
    lab.open_gate()
    lab.wait_for_end(64)
    assert len({run_id for run_id, *_ in lab.read("step")}) == len(lab.read("step")) == 63


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_workers_wake_sleepers_in_time(
    lab: Lab, project: Make, broker: Broker, use_celery: Use, pool: str
) -> None:
    """A sleep ends when it is due, not at the next full tick: three naps take less than one tick."""
    place = project(broker, [LAB], TICK_SECONDS=5)
    place.start_worker(concurrency=1, pool=pool)
    use_celery(broker)
    lab.send("nap", naps=3, nap=400)
    (run,) = lab.wait_for_end()
    assert 1.2 <= (run.ended_at - run.started_at).total_seconds() < 4.5
    assert len(lab.read("step")) == 3


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_beat_alone_ticks(lab: Lab, project: Make, broker: Broker, use_celery: Use) -> None:
    """With TICK_FROM_WORKERS off, beat's entry wakes sleepers and finds runs whose nudge was lost.

    The worker reports itself, and does nothing else of the tick.
    """
    place = project(broker, [LAB], TICK_FROM_WORKERS=False, **QUICK)
    worker = place.start_worker(concurrency=1)
    use_celery(broker)
    lab.send("nap", naps=1, nap=100)
    wait_until(lambda: lab.runs.filter(status="waiting").exists(), what="the nap")
    reports = Worker.objects.using(lab.store.alias)
    seen = worker.wait_until(reports.first, what="the report of the worker")
    assert (seen.kind, seen.queues, seen.slots) == ("celery", broker.queue, 1)
    assert not reports.filter(name="tick").exists()
    place.start_beat()
    lab.wait_for_end()


def test_junk_does_not_harm_a_worker(lab: Lab, project: Make, broker: Broker, use_celery: Use) -> None:
    """Messages that nobody can read are dropped one by one; the same process goes on to execute runs."""
    worker = project(broker, [LAB]).start_worker(concurrency=1)
    app = use_celery(broker)
    send_junk(app, broker)
    lab.send("steps", steps=1)
    lab.wait_for_end()
    wait_until(lambda: worker.text.count("a message was refused") == len(JUNK), what="all refusals")
    assert worker.returncode is None
    assert "WorkerLostError" not in worker.text
    assert broker.count_messages() == 0


JUNK: list[dict[str, Any]] = [
    {"args": []},
    {"args": ["text"]},
    {"args": [None, 1]},
    {"args": [{"v": 1}]},
    {"args": [{"v": 1, "run": "no uuid"}]},
    {"args": [{"v": 1, "run": 7}]},
    {"args": [{"v": 99, "run": "0193e4c0-0000-7000-8000-000000000000"}]},
    {"args": [], "kwargs": {"run": "0193e4c0-0000-7000-8000-000000000000"}},
    {"args": [{"v": 1, "run": "\u0000" * 36}]},
]


def send_junk(app: Celery, broker: Broker) -> None:
    """Put messages into the queue that are wrong for us, for Celery, or for everybody."""
    for each in JUNK:
        app.send_task("durable_django.run", queue=broker.queue, **each)
    app.send_task(
        "durable_django.run", [{"v": 1, "run": "0193e4c0-0000-7000-8000-000000000000"}], queue=broker.queue
    )
    app.send_task("durable_django.of_another_release", [1], queue=broker.queue)
    with Connection(broker.url) as connection, connection.Producer() as producer:
        for body, kind in (
            (b"\xff\x00", "application/json"),
            (b"cos\nsystem\n", "application/x-python-serialize"),
        ):
            producer.publish(
                body,
                routing_key=broker.queue,
                content_type=kind,
                content_encoding="utf-8",
                headers={"task": "durable_django.run", "id": "junk"},
            )
