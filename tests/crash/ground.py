"""Where scenes are played when no test has laid the ground: a database and a broker of their own."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.services import SERVICES

DURABLE = {
    "DISPATCHER": "tests.crash.post.Post",
    "FETCH_ALLOW": ["http", "127.0.0.1"],
    "PARALLEL_THREADS": 2,
}


@contextmanager
def laid(store: str, broker: str, folder: Path, isolation: str = "") -> Iterator[None]:
    """Set the environment of a new, empty project; take back what it needs."""
    durable = dict(DURABLE)
    if broker:
        durable["DISPATCHER"] = "tests.crash.broker.Real"
        os.environ["TEST_BROKER_URL"] = SERVICES[broker].url
        os.environ["TEST_QUEUE"] = f"durable-crash-{uuid.uuid4().hex[:8]}"
    os.environ["TEST_ISOLATION"] = isolation.replace("-", "_").upper()
    os.environ.setdefault("TEST_LOG_LEVEL", "CRITICAL")
    os.environ["TEST_DURABLE"] = json.dumps(durable)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings_process"
    # The time in the name lets the suite drop what a killed campaign left behind.
    name = f"test_durable_{int(time.time()):x}_crash_{os.getpid()}"
    if store == "sqlite":
        os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'play.sqlite3'}"
        yield
        return
    base = SERVICES["postgres"].url
    with psycopg.connect(base, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    os.environ["DATABASE_URL"] = base.rpartition("/")[0] + f"/{name}"
    try:
        yield
    finally:
        with psycopg.connect(base, autocommit=True) as server:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
