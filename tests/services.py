"""The servers that the suite talks to: where they are, whether they answer, which of them a run needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from kombu import Connection

REQUIRE = "DURABLE_TEST_REQUIRE"


@dataclass(frozen=True)
class Service:
    name: str
    variable: str
    default: str
    probe: Callable[[str], None]

    @property
    def url(self) -> str:
        return os.environ.get(self.variable) or self.default


def _ask_postgres(url: str) -> None:
    with psycopg.connect(url, connect_timeout=2) as connection:
        connection.execute("SELECT 1")


def _ask_redis(url: str) -> None:
    with redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2) as client:
        client.ping()


def _ask_rabbitmq(url: str) -> None:
    with Connection(url, connect_timeout=2) as connection:
        connection.connect()


SERVICES = {
    service.name: service
    for service in (
        Service(
            "postgres", "DURABLE_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres", _ask_postgres
        ),
        Service("redis", "DURABLE_TEST_REDIS", "redis://127.0.0.1:6379/0", _ask_redis),
        Service("rabbitmq", "DURABLE_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//", _ask_rabbitmq),
    )
}


@cache
def why_missing(name: str) -> str | None:
    """Return None if the service answers, otherwise the reason why it cannot be used."""
    service = SERVICES[name]
    try:
        service.probe(service.url)
    except Exception as error:  # any failure means the same here: no such service
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"{name} does not answer at {hide_password(service.url)} ({service.variable}): {reason}"
    return None


def required() -> list[str]:
    """Return the names of the services without which the run must fail; an unknown name raises ValueError."""
    names = [name.strip() for name in os.environ.get(REQUIRE, "").split(",") if name.strip()]
    if unknown := sorted(set(names) - set(SERVICES)):
        raise ValueError(f"{REQUIRE} names {', '.join(unknown)}; known are {', '.join(SERVICES)}")
    return names


def hide_password(url: str) -> str:
    parts = urlsplit(url)
    if not parts.password:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@", 1)))
