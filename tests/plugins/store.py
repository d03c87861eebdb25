"""Fixtures for the durable tables: ``store`` runs a test on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from pytest_django import DjangoDbBlocker

from durable_django.define.registry import registry as live_registry
from durable_django.models import Attempt, Run
from tests import databases
from tests.plugins.services import need
from tests.threads import end_threads

ALIASES = {"sqlite": "default", "postgres": "postgres"}


@dataclass(frozen=True)
class Store:
    """The database that holds the durable tables in this test."""

    name: str
    alias: str

    @property
    def connection(self) -> BaseDatabaseWrapper:
        return connections[self.alias]

    @property
    def vendor(self) -> str:
        return self.connection.vendor

    @property
    def url(self) -> str:
        """The address of the test database, for another process."""
        return databases.make_url(self.alias)


@pytest.fixture(scope="session")
def django_db_setup(sqlite_database: None) -> None:
    """Take the place of pytest-django's: each database is made when a test first wants it."""


@pytest.fixture(scope="session")
def sqlite_database(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    yield from _provide("default", django_db_blocker)


@pytest.fixture(scope="session")
def postgres_database(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    need("postgres")
    yield from _provide("postgres", django_db_blocker)


def _provide(alias: str, blocker: DjangoDbBlocker) -> Iterator[None]:
    with blocker.unblock():
        databases.create(alias)
    yield
    with blocker.unblock():
        databases.destroy(alias)


@pytest.fixture(params=list(ALIASES))
def store(
    request: pytest.FixtureRequest, settings: Any, django_db_blocker: DjangoDbBlocker
) -> Iterator[Store]:
    """The durable tables, empty, in SQLite or in PostgreSQL; commits are real and seen by other threads."""
    if request.node.get_closest_marker("django_db"):
        raise pytest.UsageError(
            "`store` gives the database; django_db would open a transaction around the test"
        )
    found = Store(request.param, ALIASES[request.param])
    aliases = {"default", found.alias}
    for name in aliases:
        request.getfixturevalue("postgres_database" if name == "postgres" else "sqlite_database")
    settings.DURABLE_DJANGO = {**settings.DURABLE_DJANGO, "DATABASE": found.alias}
    with django_db_blocker.unblock():
        yield found
        try:
            end_threads()
        finally:
            for name in aliases:
                databases.empty(name)


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    """Set keys of DURABLE_DJANGO until the test ends: ``configure(LEASE_SECONDS=1)``."""

    def change(**keys: Any) -> None:
        settings.DURABLE_DJANGO = {**settings.DURABLE_DJANGO, **keys}

    return change


@pytest.fixture(autouse=True)
def registry() -> Iterator[Any]:
    """The workflow registry; what a test registers is forgotten when it ends."""
    state = live_registry.snapshot()
    yield live_registry
    live_registry.restore(state)


@pytest.fixture
def admin_user(store: Store) -> User:
    return get_user_model().objects.create_superuser("admin", "admin@example.com", "password")


@pytest.fixture
def admin_client(admin_user: User) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what the store says of its runs."""
    report = yield
    found = getattr(item, "funcargs", {}).get("store")
    if report.when == "call" and report.failed and isinstance(found, Store):
        try:
            report.sections.append(("Runs in the store", "\n".join(_describe_runs(found.alias))))
        except Exception as error:
            report.sections.append(("Runs in the store", f"could not be read: {error!r}"))
    return report


def _describe_runs(alias: str) -> Iterator[str]:
    for run in Run.objects.using(alias).order_by("id")[:20]:
        yield f"{run.id} {run.workflow} {run.status} wakes {run.wake_at} crashes {run.crash_count}"
    for each in Attempt.objects.using(alias).order_by("id")[:20]:
        error = f"{each.error_type}: {each.message[:200]}"
        yield f"{each.run_id} {each.name or 'between steps'} attempt {each.number}: {error}"
