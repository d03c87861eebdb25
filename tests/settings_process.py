"""Settings of the processes that tests start: the test's database alone, and what the environment says."""

from __future__ import annotations

import json
import os
from typing import Any

import environ
from psycopg import IsolationLevel

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, SQLITE_OPTIONS

env = environ.Env()

DATABASE_ROUTERS: list[str] = []
DATABASES: dict[str, dict[str, Any]] = {"default": env.db_url("DATABASE_URL")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS

elif TEST_ISOLATION := env.str("TEST_ISOLATION", default=""):
    DATABASES["default"]["OPTIONS"] = {"isolation_level": IsolationLevel[TEST_ISOLATION]}
DATABASES["default"]["ATOMIC_REQUESTS"] = env.bool("TEST_ATOMIC_REQUESTS", default=False)

# Modules with workflows to import, comma-separated; each is an app of its own.
INSTALLED_APPS = [*INSTALLED_APPS, *env.list("TEST_APPS", default=[])]

BROKER_URL = env.str("TEST_BROKER_URL", default="")
QUEUE = env.str("TEST_QUEUE", default="durable")

DURABLE_DJANGO: dict[str, Any] = {
    "DISPATCHER": "celery" if BROKER_URL else "local",
    "DEFAULT_QUEUE": QUEUE,
    "WORKER_THREADS": 4,
    **json.loads(os.environ.get("TEST_DURABLE", "{}")),
}

CELERY_BROKER_URL = BROKER_URL or "memory://"
CELERY_TASK_DEFAULT_QUEUE = QUEUE
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_CONNECTION_TIMEOUT = 2  # seconds
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# Late acknowledgement, which projects may set for all of their tasks, and even for ours, must not matter.
if env.bool("DURABLE_TEST_ACKS_LATE", default=False):
    CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
    CELERY_TASK_ANNOTATIONS = {"durable_django.run": {"acks_late": True, "reject_on_worker_lost": True}}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": env.str("TEST_LOG_LEVEL", default="INFO")},
}
