"""The probe of Celery's broker: does its port answer, within a bounded time."""

from __future__ import annotations

import socket
from typing import Final
from urllib.parse import SplitResult, urlsplit

from django.conf import settings as django_settings

from ...conf import settings
from .finding import Finding

TIMEOUT: Final = 2.0
PORTS: Final = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671, "pyamqp": 5672}


def probe_broker() -> list[Finding]:
    """Open a connection to the broker and close it; nothing if Celery is not the dispatcher."""
    if settings.DISPATCHER != "celery":
        return []
    url = getattr(django_settings, "CELERY_BROKER_URL", "") or ""
    parts = urlsplit(url.partition(";")[0])  # Celery takes several, separated so; the first is asked
    port = _read_port(parts)
    if not parts.hostname or port is None:
        text = "CELERY_BROKER_URL names no host and port that could be asked"
        return [
            Finding(name="broker", level="warn", text=text, remedy="Ask the broker itself whether it runs.")
        ]
    place = f"{parts.scheme}://{parts.hostname}:{port}"
    try:
        socket.create_connection((parts.hostname, port), timeout=TIMEOUT).close()
    except OSError as error:
        remedy = "Start the broker; until then the tick finds the runs, only later."
        return [Finding(name="broker", level="fail", text=f"{place} does not answer: {error}", remedy=remedy)]
    return [Finding(name="broker", level="ok", text=f"{place} answers")]


def _read_port(parts: SplitResult) -> int | None:
    try:
        return parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return None
