"""Django as the works use it: one database, the workflows of this package, and a dispatcher.

Processes that a work starts read the same from the environment variable DURABLE_BENCHMARK, a JSON object.
"""

from __future__ import annotations

import json
import os
from typing import Any

import django
import environ
from django.conf import settings

VARIABLE = "DURABLE_BENCHMARK"

SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 60,
    # FULL: a commit survives a power cut.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-16000;",
}


class Nobody:
    """A dispatcher that tells no worker."""

    def nudge(self, nudges: Any) -> None:
        """Lose the nudges."""


def configure(url: str, **durable: Any) -> None:
    """Configure Django with the database at ``url`` and these settings of DURABLE_DJANGO."""
    database = environ.Env.db_url_config(url)
    if database["ENGINE"].endswith("sqlite3"):
        database["OPTIONS"] = SQLITE_OPTIONS
    else:
        database |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}  # as in the example project
    settings.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "rest_framework",
            "durable_django",
            "benchmarks",
        ],
        ROOT_URLCONF="benchmarks.urls",
        ALLOWED_HOSTS=["127.0.0.1"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SECRET_KEY="benchmark",
        USE_TZ=True,
        DURABLE_DJANGO={"DISPATCHER": "benchmarks.setup.Nobody", "REQUIRE_EVENT_KEYS": False, **durable},
    )
    django.setup()


def configure_child() -> dict[str, Any]:
    """Configure Django in a process that a work started, and return what the work told it."""
    told: dict[str, Any] = json.loads(os.environ[VARIABLE])
    configure(told["url"], **told.get("durable", {}))
    return told
