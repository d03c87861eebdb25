"""The Celery app of the works that go through a broker; its process learns the rest from DURABLE_BENCHMARK."""

from __future__ import annotations

import os

from celery import Celery

from benchmarks.setup import VARIABLE, configure_child

BROKER = os.environ.get("DURABLE_TEST_REDIS") or "redis://127.0.0.1:6379/9"

app = Celery("benchmarks", broker=BROKER)
app.conf.update(
    worker_prefetch_multiplier=8, task_ignore_result=True, broker_connection_retry_on_startup=True
)
app.set_default()
if VARIABLE in os.environ:
    configure_child()
    app.autodiscover_tasks(["durable_django"], force=True)
