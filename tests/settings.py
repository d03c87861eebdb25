"""Settings of the suite: the durable tables can lie in either of two databases at once.

``default`` is a SQLite file, never in memory, since threads and processes share it. ``postgres`` is there if
the server answers. Names are unique to the run and its worker, so runs side by side do not meet.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import environ

from tests.services import SERVICES, why_missing

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
RUN = f"{os.environ.get('PYTEST_XDIST_TESTRUNUID', str(os.getpid()))[:8]}_{WORKER}"
DATABASE_PREFIX = "test_durable_"
SCRATCH = Path(tempfile.gettempdir()) / f"durable-tests-{RUN}"

SQLITE_OPTIONS: dict[str, Any] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    # NORMAL loses the last commits when the power fails, and nothing when a process is killed, which is all
    # that tests can do; it spares them one sync a commit.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",  # outside tests, so that commands such as makemigrations need no file
        "OPTIONS": SQLITE_OPTIONS,
        "TEST": {"NAME": str(SCRATCH / "test.sqlite3")},
    },
}
if why_missing("postgres") is None:
    DATABASES["postgres"] = {
        **environ.Env.db_url_config(SERVICES["postgres"].url),
        # The time in the name lets a later run drop what a killed run left behind.
        "TEST": {"NAME": f"{DATABASE_PREFIX}{int(time.time()):x}_{RUN}"},
    }
DATABASE_ROUTERS = ["tests.app.router.StoreRouter"]

SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick, and no secret is at stake

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.admin",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "durable_django",
    "tests.app",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
MIGRATION_MODULES = {"testapp": None}

# Few threads: the suite runs in parallel, and every thread of every worker holds a connection.
DURABLE_DJANGO: dict[str, Any] = {"DISPATCHER": "inline", "WORKER_THREADS": 4}
