"""The Celery app: workers find their tasks here, beat finds the tick."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect
def schedule_tick(sender: Celery, **kwargs: Any) -> None:
    # Imported late: Django's settings are not loaded yet when this module is.
    from durable_django.beat import beat_schedule

    sender.conf.beat_schedule = {**sender.conf.beat_schedule, **beat_schedule()}
