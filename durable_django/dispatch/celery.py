"""Celery: small messages, into the queues of the workflows, never at the expense of the sender."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery, current_app

from ..conf import settings
from ..engine.nudge import Nudge
from .inline import InlineDispatcher
from .message import Message, build_body, bundle
from .publisher import get_publisher

TASK = "durable_django.run"
TRANSIENT = 1
"""Delivery mode: a nudge that is lost with its broker costs latency only, so no disk is troubled."""


class CeleryDispatcher:
    """Sends nudges through the project's current Celery app."""

    def nudge(self, nudges: Sequence[Nudge]) -> None:
        """Send messages for the runs, within PUBLISH_TIMEOUT_SECONDS for all of them.

        Raises:
            NudgeLost: The broker does not answer; for some seconds then, nobody asks it again.
        """
        app = get_app()
        if app.conf.task_always_eager:
            InlineDispatcher().nudge(nudges)
            return
        publisher = get_publisher(lambda: Line(app, settings.PUBLISH_TIMEOUT_SECONDS / 2))
        publisher.publish(list(bundle(nudges)), timeout=settings.PUBLISH_TIMEOUT_SECONDS)


def get_app() -> Celery:
    """Return the project's Celery app; Celery's own fallback if the project has made none here."""
    app: Celery = current_app._get_current_object()  # type: ignore[attr-defined]  # it is a proxy
    return app


class Line:
    """A connection to the broker that gives up soon, whatever the project's own settings are.

    Args:
        timeout: Seconds that connecting, and each answer, may take.
    """

    def __init__(self, app: Celery, timeout: float) -> None:
        self._app = app
        self._connection = app.connection_for_write(connect_timeout=timeout)
        options = build_options(str(self._connection.transport.driver_type), timeout)
        self._connection.transport_options = {**(self._connection.transport_options or {}), **options}
        self._producer = app.amqp.Producer(self._connection, auto_declare=False)

    def send(self, message: Message) -> None:
        """Send one message."""
        self._app.send_task(
            TASK,
            args=[build_body(message)],
            queue=message.queue,
            producer=self._producer,
            serializer="json",
            retry=False,
            ignore_result=True,
            add_to_parent=False,
            delivery_mode=TRANSIENT,
        )

    def close(self) -> None:
        """Close the connection, within ``timeout`` if the broker is silent."""
        self._connection.release()


def build_options(driver: str, timeout: float) -> dict[str, Any]:
    """Return the transport options that bound every wait on a broker of that kind."""
    once = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    if driver == "redis":
        return once | {
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry_on_timeout": False,
        }
    if driver == "amqp":
        return once | {"read_timeout": timeout, "write_timeout": timeout, "confirm_publish": True}
    return {}
