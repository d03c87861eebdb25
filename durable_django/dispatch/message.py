"""What a message says: a version and the ids of runs, nothing that could be out of date.

Note [A burst travels in bundles]
    Celery and its broker take longer over a message than the engine takes over a short run. So what is
    announced at once for one queue shares messages, as long as there are still SPREAD of them for workers
    to share; few runs have a message each. A reader that knows of no bundle takes the first run of one.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from ..engine.nudge import Nudge

logger = logging.getLogger("durable_django.dispatch")

VERSION: Final = 1
BUNDLE: Final = 8
"""Runs in one message at most."""
SPREAD: Final = 16
"""Messages of a burst below which none of them holds a second run."""

_refused = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Message:
    """Runs that are queued, to be looked at one after another, and where."""

    run_ids: tuple[UUID, ...]
    queue: str


def bundle(nudges: Sequence[Nudge]) -> Iterator[Message]:
    """Yield the messages for nudges, each queue's in their order."""
    queues: dict[str, list[UUID]] = {}
    for nudge in nudges:
        queues.setdefault(nudge.queue, []).append(nudge.run_id)
    for queue, ids in queues.items():
        size = max(1, min(BUNDLE, len(ids) // SPREAD))
        yield from (Message(tuple(ids[at : at + size]), queue) for at in range(0, len(ids), size))


def build_body(message: Message) -> dict[str, Any]:
    """Return the message's only argument."""
    first, *more = map(str, message.run_ids)
    body = {"v": VERSION, "run": first}
    return {**body, "more": more, "queue": message.queue} if more else body


def read_body(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Message | None:
    """Return the message, or None for what this release cannot read.

    A run that a newer release announced in its own words is found by the tick.
    """
    body = args[0] if len(args) == 1 and not kwargs else None
    try:
        if not isinstance(body, Mapping) or body["v"] != VERSION:
            raise ValueError("not a message of this version")
        ids = (body["run"], *body.get("more", ()))
        return Message(tuple(map(UUID, ids)), str(body.get("queue", "")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning(
            "a message was refused; if it was about a run, the tick finds the run",
            extra={"refused": next(_refused), "error": f"{type(error).__name__}: {error}"[:200]},
        )
        return None
