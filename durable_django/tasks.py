"""Celery's door: the task that executes a nudged run, the task that ticks, the worker's own tick."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_process_shutdown, worker_ready, worker_shutdown, worker_shutting_down
from django.db import close_old_connections

from .conf import settings
from .dispatch import celery_worker
from .dispatch.bundles import Bundle, get_watcher
from .dispatch.message import read_body
from .dispatch.suspects import allowed_deaths
from .engine.alias import get_alias
from .engine.bulk_work import share_bulk
from .engine.errand import give_back
from .engine.execute import execute_run
from .engine.identity import get_owner
from .engine.tick import tick
from .store.claim import claim_runs

BULK_SECONDS = 5.0
"""How long one tick that came from beat may work on bulk operations; the next one goes on."""


# Early ack and no retry, whatever the project's defaults are: leases and the tick recover (law 1).
@shared_task(
    name="durable_django.run",
    ignore_result=True,
    max_retries=0,
    acks_late=False,
    reject_on_worker_lost=False,
    track_started=False,
    typing=False,
)
def run(*args: Any, **kwargs: Any) -> None:
    """Execute the runs that the message names, unless another worker has them, they have ended, or this one drains."""
    message = read_body(args, kwargs)
    if message is None or celery_worker.is_draining():  # the tick announces the run again, to another worker
        return
    celery_worker.join()
    close_old_connections()  # Celery does so itself unless CELERY_DB_REUSE_MAX is set
    if len(message.run_ids) == 1:
        _execute(message.run_ids[0])
        return
    bundle = Bundle(message)
    get_watcher().watch(bundle)
    try:
        for run_id in bundle:
            _execute(run_id)
            if celery_worker.is_leaving():
                break
    finally:
        bundle.hand_on()


def _execute(run_id: UUID) -> None:
    using = get_alias()
    deaths = allowed_deaths(using)
    for claimed in claim_runs(
        using, owner=get_owner(), lease=settings.LEASE_SECONDS, ids=[run_id], deaths=deaths
    ):
        execute_run(using, claimed, lend=True)


@shared_task(name="durable_django.tick", ignore_result=True, max_retries=0, acks_late=False)
def tick_now() -> None:
    """Do what is due, unless a worker has just done so; bulk operations only if this worker does not drain."""
    if tick(get_alias(), period=settings.TICK_SECONDS / 2) is not None and not celery_worker.is_draining():
        share_bulk(get_alias(), BULK_SECONDS)


@worker_ready.connect(weak=False, dispatch_uid="durable_django.start")
def start_worker(sender: Any = None, **kwargs: Any) -> None:
    """Begin to report the worker and to tick in its main process."""
    celery_worker.start(list(sender.app.amqp.queues.consume_from), lambda: _measure(sender.pool))


def _measure(pool: Any) -> tuple[int, int]:
    """Return how many tasks a pool executes side by side, and how many it does, those of the project included."""
    from celery.worker.state import active_requests  # which no process but a worker needs

    return int(pool.num_processes or 1), len(active_requests)


@worker_shutting_down.connect(weak=False, dispatch_uid="durable_django.leave")
def leave_worker(**kwargs: Any) -> None:
    """Let runs leave at their next step."""
    celery_worker.leave()


@worker_shutdown.connect(weak=False, dispatch_uid="durable_django.stop")
def stop_worker(**kwargs: Any) -> None:
    """End the report and the tick."""
    celery_worker.stop()
    give_back()


@worker_process_shutdown.connect(weak=False, dispatch_uid="durable_django.give_back")
def stop_child(**kwargs: Any) -> None:
    """Give back the runs whose answers this child of a prefork pool will not live to see."""
    give_back()
