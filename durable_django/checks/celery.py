"""E101, W101…W111: Celery settings that cost latency or economy, or make a worker do work twice.

None of them loses a run: messages are nudges, and the tick finds what they miss. ``docs/celery.md`` shows
the profile that passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Notice

from ..conf import settings
from .surroundings import is_test

UNSAFE = {"pickle", "yaml", "application/x-python-serialize", "application/x-yaml"}
_OPTIONS = "CELERY_BROKER_TRANSPORT_OPTIONS"
REDIS_TIMEOUTS = ("socket_timeout", "socket_connect_timeout")
REDIS_VISIBILITY = 3_600
"""Seconds; what the transport does without the option."""


def check_celery(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report each deviation of the project's Celery app from the profile in ``docs/celery.md``."""
    from ..dispatch.celery import get_app

    app = get_app()
    if app.main == "default" and not app.configured:  # type: ignore[attr-defined]  # not in the stubs
        return [_warn(101, "No Celery app is made in this process.", _HINT_APP)]
    checks: tuple[Callable[[Any], Iterator[CheckMessage]], ...] = (
        _check_content,
        _check_task,
        _check_worker,
        _check_transport,
        _check_tick,
    )
    return [message for check in checks for message in check(app)]


_HINT_APP = "Import the app in the project's __init__.py, as Celery's guide for Django says."


def _check_content(app: Any) -> Iterator[CheckMessage]:
    found = sorted(UNSAFE & {str(kind) for kind in app.conf.accept_content or ()})
    if found:
        yield Error(
            f"Celery accepts {' and '.join(found)}: whoever reaches the broker can run code in the workers.",
            hint="Set CELERY_ACCEPT_CONTENT = ['json'].",
            id="durable_django.E101",
        )


def _check_task(app: Any) -> Iterator[CheckMessage]:
    from .. import tasks

    task = app.tasks[tasks.run.name]
    if task.acks_late:
        text = "durable_django.run is acknowledged late, so brokers deliver long runs a second time, in vain."
        yield _warn(102, text, "Take acks_late for it out of CELERY_TASK_ANNOTATIONS.")
    if task.reject_on_worker_lost:
        text = "durable_django.run is put back when its worker dies: one bad run kills worker after worker."
        yield _warn(103, text, "Take reject_on_worker_lost for it out of CELERY_TASK_ANNOTATIONS.")
    if app.conf.result_backend and not task.ignore_result:
        text = "durable_django.run stores Celery results that nobody reads."
        yield _warn(105, text, "Take ignore_result for it out of CELERY_TASK_ANNOTATIONS.")


def _check_worker(app: Any) -> Iterator[CheckMessage]:
    conf = app.conf
    if conf.worker_prefetch_multiplier != 1:
        count = conf.worker_prefetch_multiplier
        text = f"Workers prefetch {count} messages a process: runs wait behind long steps."
        yield _warn(104, text, "Set CELERY_WORKER_PREFETCH_MULTIPLIER = 1.")
    if conf.task_always_eager and not is_test():
        text = "CELERY_TASK_ALWAYS_EAGER is on: whoever sends an event executes its runs."
        yield _warn(106, text, "Switch it off outside tests, or set DURABLE_DJANGO['DISPATCHER'] = 'inline'.")
    if conf.task_time_limit:
        text = (
            f"CELERY_TASK_TIME_LIMIT kills processes in the middle of a step, after {conf.task_time_limit} s."
        )
        yield _warn(110, text, "Set it on your own tasks; a run executes many steps in one task.")


def _check_transport(app: Any) -> Iterator[CheckMessage]:
    connection = app.connection_for_write()
    options = {**(connection.transport_options or {})}
    driver = str(connection.transport_cls or "")
    if "redis" in driver or "sentinel" in driver:
        yield from _check_redis(options)
    if "amqp" in driver and not options.get("confirm_publish"):
        text = "Messages to RabbitMQ are sent without confirmation: beat's are lost unseen in a memory alarm."
        yield _warn(108, text, f"Add 'confirm_publish': True to {_OPTIONS}.")


def _check_redis(options: dict[str, Any]) -> Iterator[CheckMessage]:
    missing = [name for name in REDIS_TIMEOUTS if not options.get(name)]
    if missing:
        text = f"Without {' and '.join(missing)} beat and workers wait for ever on a Redis that fell silent."
        hint = "Add " + ", ".join(f"'{name}': 2" for name in missing) + f" to {_OPTIONS}."
        yield _warn(107, text, hint)
    visible = options.get("visibility_timeout", REDIS_VISIBILITY)
    if visible < settings.LEASE_SECONDS:
        text = f"visibility_timeout is {visible} s, less than a lease: messages come twice, in vain."
        hint = f"Give it more than LEASE_SECONDS, {settings.LEASE_SECONDS:g}, in {_OPTIONS}."
        yield _warn(109, text, hint)


def _check_tick(app: Any) -> Iterator[CheckMessage]:
    if settings.TICK_FROM_WORKERS or "PersistentScheduler" not in str(app.conf.beat_scheduler):
        return
    entries = (app.conf.beat_schedule or {}).values()
    if not any(entry.get("task") == "durable_django.tick" for entry in entries):
        text = "Nobody ticks: TICK_FROM_WORKERS is off, and CELERY_BEAT_SCHEDULE has no durable_django.tick."
        yield _warn(111, text, "Merge durable_django.beat.beat_schedule() into CELERY_BEAT_SCHEDULE.")


def _warn(number: int, text: str, hint: str) -> CheckMessage:
    return Notice(text, hint=hint, id=f"durable_django.W{number}")
