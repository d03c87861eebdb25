"""Messages in a real broker, by the project's own dispatcher; received as a Celery worker does, with early ack."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from celery import current_app
from django.conf import settings

from durable_django.dispatch.celery import CeleryDispatcher
from durable_django.dispatch.message import read_body
from durable_django.engine.nudge import Nudge
from tests.crash import world

NAME: Final = "tests.crash.broker.Real"
_queues: dict[int, Any] = {}


class Real:
    """The dispatcher: each batch of messages is a crash point."""

    def nudge(self, nudges: Sequence[Nudge]) -> None:
        _open()
        world.points.reach("publish")
        CeleryDispatcher().nudge(nudges)


def take() -> UUID | None:
    """Receive a message and acknowledge it before it is worked on; None if there is none."""
    message = _open().get(no_ack=False)
    if message is None:
        return None
    world.points.reach("acknowledge")
    message.ack()
    world.points.reach("work")
    args, kwargs, _ = message.payload
    found = read_body(args, kwargs)
    return None if found is None else found.run_ids[0]  # no scene announces so many that they share messages


def clear() -> None:
    """Forget the messages of an earlier play."""
    _open().purge()


def _open() -> Any:
    queue = _queues.get(os.getpid())
    if queue is None:
        channel = current_app.connection_for_read().channel()
        queue = _queues[os.getpid()] = current_app.amqp.queues[settings.QUEUE](channel)
        queue.declare()
    return queue
