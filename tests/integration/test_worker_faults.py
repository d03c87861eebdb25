"""Workers that are half dead: their line to the database or the broker is silent, or their threads do not run."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import quote

import pytest
from celery import Celery

from durable_django.define.registry import Registry
from durable_django.define.workflow import Workflow
from tests.app.models import Effect
from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.plugins.services import Broker
from tests.proxy import Proxy
from tests.waiting import wait_until

pytestmark = pytest.mark.process

QUICK = {"LEASE_SECONDS": 3.0, "TICK_SECONDS": 0.2, "RENUDGE_SECONDS": 0.5}
POISON = "tests.poison_app"

Make = Callable[..., Project]
Use = Callable[..., Celery]

postgres = pytest.mark.parametrize("store", ["postgres"], indirect=True)
redis = pytest.mark.parametrize("broker", ["redis"], indirect=True)


@pytest.fixture
def place(project: Make, configure: Callable[..., None]) -> Project:
    """Local workers of both test apps."""
    configure(**QUICK, DISPATCHER="local")
    return project(apps=[LAB, POISON], **QUICK, DISPATCHER="local")


@pytest.fixture
def database_proxy(lab: Lab) -> Iterator[Proxy]:
    with closing(Proxy(lab.store.url)) as proxy:
        yield proxy


@postgres
def test_what_a_silent_line_held_back_is_refused(lab: Lab, place: Project, database_proxy: Proxy) -> None:
    """A worker whose line to the database falls silent loses its run; what arrives later changes nothing (F39)."""
    cut_off = place.start_manage("durable", "worker", env={"DATABASE_URL": database_proxy.url})
    lab.send("gate")
    lab.wait_for("gate")
    database_proxy.freeze()
    other = place.start_manage("durable", "worker")
    lab.wait_for("gate", 2)
    lab.open_gate()
    (run,) = lab.wait_for_end()
    lab.wait_for("gate", 4)
    database_proxy.thaw()
    cut_off.wait_for("the run is owned by somebody else")
    after = lab.runs.values().get()
    assert (after["token"], after["ended_at"], len(lab.read("after"))) == (2, run.ended_at, 1)
    other.stop()
    lab.send("steps", steps=1)
    lab.wait_for_end(2)
    assert cut_off.returncode is None


@postgres
def test_a_worker_that_is_frozen_in_a_transaction_is_cut_off(lab: Lab, place: Project) -> None:
    """With idle_in_transaction_session_timeout the server ends its session; its rows never appear (F36)."""
    options = quote("-c idle_in_transaction_session_timeout=4000")
    zombie = place.start_manage(
        "durable", "worker", env={"DATABASE_URL": f"{lab.store.url}?options={options}"}
    )
    lab.send("atomic")
    lab.wait_for("gate")
    zombie.send(signal.SIGSTOP)
    wait_until(lambda: not count_idle(lab), what="the end of the frozen session")
    lab.open_gate()
    place.start_manage("durable", "worker")
    (run,) = lab.wait_for_end()
    zombie.send(signal.SIGCONT)
    lab.wait_for("gate", 4)
    zombie.wait_for("the run is owned by somebody else")
    rows = Effect.objects.using(lab.store.alias).values_list("key", "run")
    assert list(rows) == [("gate", str(run.id))]
    assert lab.runs.get().token == 2


def count_idle(lab: Lab) -> int:
    with lab.store.connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND state = 'idle in transaction'"
        )
        return int(cursor.fetchone()[0])


@postgres  # on SQLite the process may freeze while another thread of it has the only lock
def test_a_worker_whose_threads_do_not_run_loses_its_run(
    lab: Lab, place: Project, registry: Registry
) -> None:
    """A step that holds the interpreter's lock renews no lease; another worker goes on and the fence holds (F38)."""
    from tests.poison_app import workflows

    registry.add(workflows.hold_the_interpreter)
    assert isinstance(workflows.hold_the_interpreter, Workflow)
    workers = [place.start_manage("durable", "worker") for _ in range(2)]
    for worker in workers:
        worker.wait_for("serves")
    lab.send("hog", seconds=9)
    lab.wait_for("hog", 2)
    (run,) = lab.wait_for_end()
    wait_until(
        lambda: any("the run is owned by somebody else" in worker.text for worker in workers),
        what="the refusal of the first worker's result",
    )
    after = lab.runs.select_related("result").get()
    assert (after.token, after.result.output) == (2, run.result.output)
    assert len(lab.read("after")) == 1
    assert all(worker.returncode is None for worker in workers)


@postgres
@redis
def test_a_worker_that_hears_nothing_keeps_no_run_from_the_others(
    lab: Lab, project: Make, broker: Broker, use_celery: Use
) -> None:
    """A worker whose line to the broker is silent lives and consumes nothing; the others do its work (F21)."""
    with closing(Proxy(broker.url)) as proxy:
        place = project(broker, [LAB], **QUICK)
        deaf = place.start_worker(concurrency=1, env={"TEST_BROKER_URL": proxy.url})
        use_celery(broker)
        proxy.freeze()
        place.start_worker(concurrency=1)
        for _ in range(20):
            lab.send("steps", steps=1)
        lab.wait_for_end(20, timeout=60)
        assert deaf.returncode is None
        assert len(lab.read("step")) == 20


@postgres
@redis
def test_children_that_live_for_one_task_lose_nothing(
    lab: Lab, project: Make, broker: Broker, use_celery: Use
) -> None:
    """With max-tasks-per-child each run has a process of its own; all finish without a take-over (F82)."""
    place = project(broker, [LAB], LEASE_SECONDS=60)
    options = [
        "-Q",
        broker.queue,
        "-c",
        "2",
        "--max-tasks-per-child",
        "1",
        "--without-gossip",
        "--without-mingle",
    ]
    worker = place.start("worker", "-m", "celery", "-A", "tests.celery_app", "worker", "-l", "INFO", *options)
    worker.wait_for(" ready.")
    use_celery(broker)
    for _ in range(12):
        lab.send("steps", steps=2)
    runs = lab.wait_for_end(12, timeout=90)
    assert {run.token for run in runs} == {1}
    assert len(lab.read("step")) == 24
