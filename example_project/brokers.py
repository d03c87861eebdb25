"""What each Celery broker needs so that publishing never hangs for longer than about two seconds."""

from __future__ import annotations

from typing import Any

SOCKET_SECONDS = 2
RECONNECT = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}


def transport_options(broker_url: str) -> dict[str, Any]:
    """Return ``broker_transport_options`` for a broker URL.

    Args:
        broker_url: as given to Celery; may be empty.
    """
    if broker_url.startswith(("redis", "sentinel")):
        return RECONNECT | {"socket_timeout": SOCKET_SECONDS, "socket_connect_timeout": SOCKET_SECONDS}
    if broker_url.startswith(("amqp", "pyamqp")):
        return RECONNECT | {
            "confirm_publish": True,
            "read_timeout": SOCKET_SECONDS,
            "write_timeout": SOCKET_SECONDS,
        }
    return {}
