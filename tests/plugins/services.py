"""Fixtures for the brokers; tests whose server is missing are skipped and counted at the end."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import redis
from kombu import Connection

from tests.services import SERVICES, required, why_missing
from tests.waiting import wait_until

MISSING = "service missing: "
DATABASES = range(1, 16)  # Redis has 16 unless configured otherwise; the claims lie in number 0
CLAIM_SECONDS = 300


@dataclass(frozen=True)
class Broker:
    """A real broker and the name of a queue that no other test uses."""

    name: str
    url: str
    queue: str

    def count_messages(self) -> int:
        """Return how many messages wait in the queue; one that does not exist holds none."""
        with Connection(self.url) as connection, connection.channel() as channel:
            try:
                return int(channel.queue_declare(self.queue, passive=True).message_count)
            except connection.channel_errors:
                return 0

    def purge(self) -> int:
        """Lose every message that waits in the queue, as a broker without a disk does; return how many."""
        with Connection(self.url) as connection, connection.channel() as channel:
            try:
                return int(channel.queue_purge(self.queue) or 0)
            except connection.channel_errors:
                return 0


def need(name: str) -> None:
    """Skip the test if the service does not answer."""
    if reason := why_missing(name):
        pytest.skip(f"{MISSING}{reason}")


@pytest.fixture
def redis_url() -> Iterator[str]:
    """An empty Redis database that no other test uses meanwhile; it may be flushed."""
    need("redis")
    with claim_redis() as url:
        yield url


@contextmanager
def claim_redis(seconds: int = CLAIM_SECONDS) -> Iterator[str]:
    """Give the address of an empty Redis database that is nobody else's for so long."""
    base = SERVICES["redis"].url
    owner = uuid.uuid4().hex
    with redis.Redis.from_url(base, db=0) as claims:
        number = wait_until(
            lambda: _claim(claims, owner, seconds), timeout=60, what="a Redis database becoming free"
        )
        with redis.Redis.from_url(base, db=number) as own:
            own.flushdb()
            yield base.rpartition("/")[0] + f"/{number}"
            own.flushdb()
        claims.delete(_claim_key(number))


def _claim(claims: redis.Redis, owner: str, seconds: int) -> int | None:
    free = (n for n in DATABASES if claims.set(_claim_key(n), owner, nx=True, ex=seconds))
    return next(free, None)


def _claim_key(number: int) -> str:
    return f"durable-tests:database:{number}"


@pytest.fixture
def rabbitmq_url() -> str:
    """The RabbitMQ server, shared with other tests: use ``broker.queue`` or a name of your own."""
    need("rabbitmq")
    return SERVICES["rabbitmq"].url


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Each of the two brokers in turn, with a queue of the test's own."""
    url = request.getfixturevalue(f"{request.param}_url")
    found = Broker(request.param, url, f"durable-test-{uuid.uuid4().hex[:12]}")
    yield found
    if found.name == "rabbitmq":
        with Connection(url) as connection, connection.channel() as channel:
            channel.queue_delete(found.queue)


def pytest_configure(config: pytest.Config) -> None:
    try:
        reasons = [reason for name in required() if (reason := why_missing(name))]
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    if reasons:
        raise pytest.UsageError("a required service is missing: " + "; ".join(reasons))


def pytest_report_header(config: pytest.Config) -> str:
    return "services: " + ", ".join(f"{name} {'missing' if why_missing(name) else 'ok'}" for name in SERVICES)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(reason for report in skipped if (reason := _missing_reason(report)))
    for reason, number in reasons.items():
        terminalreporter.write_line(f"{number} tests skipped, {reason}", yellow=True)


def _missing_reason(report: pytest.TestReport) -> str | None:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    _, found, reason = text.partition(MISSING)
    return reason if found else None
