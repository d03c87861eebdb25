"""The Celery app of the worker and beat processes that tests start."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings_process")

app = Celery("tests")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect
def add_schedule(sender: Celery, **kwargs: object) -> None:
    from durable_django.beat import beat_schedule

    sender.conf.beat_schedule = beat_schedule()
