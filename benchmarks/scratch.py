"""A PostgreSQL database that a work has for itself: made, migrated, and dropped again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import django
import environ
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections

SERVER = "DURABLE_TEST_POSTGRES"
DEFAULT = "postgres://postgres@127.0.0.1:5432/postgres"


@contextmanager
def scratch_database(workflows: str) -> Iterator[None]:
    """Configure Django with a database of this process's own on the server that DURABLE_TEST_POSTGRES names.

    Args:
        workflows: The module that is an installed app, for its workflows.
    """
    url = os.environ.get(SERVER) or DEFAULT
    name = f"durable_benchmark_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            _configure({**environ.Env.db_url_config(url), "NAME": name}, workflows)
            call_command("migrate", verbosity=0)
            yield
        finally:
            connections.close_all()
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _configure(database: dict[str, object], workflows: str) -> None:
    settings.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "durable_django",
        ],
        SECRET_KEY="benchmark",
        USE_TZ=True,
        DURABLE_DJANGO={"DISPATCHER": f"{workflows}.Nobody"},
    )
    django.setup()
