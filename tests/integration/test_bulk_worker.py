"""Bulk operations in real workers, one of which dies in the middle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from durable_django.engine.bulk import continue_bulk, start_bulk, stop_bulk
from durable_django.ids import new_id
from durable_django.models import AuditEntry, BulkOperation, Event, Run
from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.plugins.services import Broker
from tests.waiting import wait_until

pytestmark = pytest.mark.process

Make = Callable[..., Project]
ROWS = 1_000
QUICK = {"LEASE_SECONDS": 4.0, "TICK_SECONDS": 0.2}


def make_runs(lab: Lab, rows: int = ROWS) -> None:
    """Store ended runs of a workflow whose reruns do nothing."""
    using = lab.store.alias
    data = f'{{"steps": 0, "ledger": "{lab.ledger_path}"}}'
    event = Event.objects.using(using).create(name="process/steps", ts=1, data=data, routed_at=timezone.now())
    Run.objects.using(using).bulk_create(
        Run(
            id=new_id(),
            workflow="process-steps",
            event=event,
            queue="durable",
            status="failed",
            ended_at=timezone.now(),
        )
        for _ in range(rows)
    )


def read(lab: Lab, bulk: BulkOperation) -> BulkOperation:
    return BulkOperation.objects.using(lab.store.alias).get(pk=bulk.pk)


def wait_for_done(lab: Lab, bulk: BulkOperation, rows: int) -> None:
    wait_until(lambda: read(lab, bulk).done >= rows, 120, f"{rows} rows being done")


def wait_for_state(lab: Lab, bulk: BulkOperation, state: str) -> None:
    wait_until(lambda: read(lab, bulk).state == state, 120, f"the operation being {state}")


def check_once(lab: Lab, bulk: BulkOperation, rows: int = ROWS) -> None:
    """Each of the rows has one rerun and one line in the operator log."""
    again = lab.runs.filter(origin="rerun").values_list("rerun_of", flat=True)
    assert (len(again), len(set(again))) == (rows, rows)
    log = AuditEntry.objects.using(lab.store.alias).filter(bulk_id=bulk.pk, action="rerun")
    assert (log.count(), read(lab, bulk).done) == (rows, rows)


def start(lab: Lab) -> BulkOperation:
    chosen = {"workflow": "process-steps", "status": ["failed"]}
    return start_bulk("rerun", chosen, actor="ann", reason="fixed", using=lab.store.alias)


def test_a_killed_worker_does_no_row_twice(lab: Lab, project: Make) -> None:
    """kill -9 in the middle: another worker goes on behind the last row; each run is rerun once."""
    make_runs(lab)
    place = project(apps=[LAB], **QUICK)
    first = place.start_manage("durable", "worker")
    bulk = start(lab)
    wait_for_done(lab, bulk, 20)
    first.kill()
    left = read(lab, bulk)
    assert (left.state, left.done < ROWS) == ("running", True)
    place.start_manage("durable", "worker")
    wait_for_state(lab, bulk, "finished")
    check_once(lab, bulk)


def test_a_stop_holds_while_workers_live(lab: Lab, project: Make) -> None:
    """A stopped operation stands still beside a live worker, and goes on where it was when it is continued."""
    make_runs(lab)
    project(apps=[LAB], **QUICK).start_manage("durable", "worker")
    bulk = start(lab)
    wait_for_done(lab, bulk, 20)
    stopped = stop_bulk(bulk.pk, actor="ann", using=lab.store.alias)
    beats = read_tick(lab)
    wait_until(lambda: read_tick(lab) > beats, 60, "another tick")
    assert read(lab, bulk).done == stopped.done < ROWS
    continue_bulk(bulk.pk, actor="ann", using=lab.store.alias)
    wait_for_state(lab, bulk, "finished")
    check_once(lab, bulk)


def read_tick(lab: Lab) -> Any:
    from durable_django.models import Worker

    row = Worker.objects.using(lab.store.alias).filter(name="tick").first()
    return row.seen_at if row else timezone.now()


@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_celery_workers_carry_it_out(lab: Lab, project: Make, broker: Broker) -> None:
    """A Celery worker that ticks works bulk operations off; its death in the middle costs nothing."""
    make_runs(lab)
    place = project(broker, [LAB], **QUICK)
    first = place.start_worker(concurrency=1)
    bulk = start(lab)
    wait_for_done(lab, bulk, 20)
    first.kill()
    place.start_worker(concurrency=1)
    wait_for_state(lab, bulk, "finished")
    check_once(lab, bulk)
