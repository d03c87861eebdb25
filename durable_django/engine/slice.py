"""A slice: one uninterrupted execution of a run in a worker, and what it knows while it lasts."""

from __future__ import annotations

import json
import time
from contextvars import ContextVar
from functools import cached_property
from typing import Any

from ..conf import settings
from ..define.workflow import Workflow
from ..exceptions import StepError
from ..store.base import Claimed, EventRow, Memo
from ..types import Event
from .codec import decode, decode_output
from .find_hooks import find_hooks
from .replay import Replay
from .retry import RetryPolicy
from .scope import current_scope

step_attempt: ContextVar[int | None] = ContextVar("durable_django_attempt", default=None)

OWNED_FOR = 0.25
"""Seconds for which a fenced write vouches for the lease; after them a new step asks again (law 8)."""


class Slice:
    """The state of one execution; ``lost`` and ``stopping`` are set from outside.

    ``relaxed`` says that checkpoints may commit without waiting for the disk.
    """

    def __init__(self, using: str, claimed: Claimed, workflow: Workflow[Any, Any], memos: list[Memo]) -> None:
        self.using = using
        self.claimed = claimed
        self.workflow = workflow
        self.hooks = find_hooks(workflow)
        self.stored_event = read_event(claimed.event)
        self.event = self.stored_event
        self.begun = False
        self.output_limit: int = settings.STEP_OUTPUT_BYTES
        self.relaxed = workflow.durability == "relaxed"
        self.replay = Replay(
            memos,
            run=str(claimed.id),
            step_limit=settings.STEP_LIMIT,
            byte_limit=settings.RUN_STATE_BYTES,
        )
        self.lost = False
        self.stopping = False
        self.owned_at = time.monotonic()

    @property
    def attempt(self) -> int:
        """The failed attempts of the step that the calling code is in, or of the code between steps."""
        attempt = step_attempt.get()
        return self.segment_attempt if attempt is None else attempt

    @property
    def segment_attempt(self) -> int:
        """The failed attempts of the code between steps; new steps since then start a new budget."""
        if self.replay.steps > self.claimed.attempt_steps:
            return 0
        return self.claimed.attempt

    @property
    def replaying(self) -> bool:
        """Tell whether the calling code has run in an earlier slice.

        See Note [Code before a memo has run before].
        """
        scope = current_scope.get(None)
        return self.replay.unread.covers(() if scope is None else scope.path)

    def policy(self, retries: int | None = None, backoff: Any = None) -> RetryPolicy:
        """Return the retry policy of a step, or without arguments that of the workflow."""
        own = self.workflow.retries if retries is None else retries
        return RetryPolicy(
            settings.RETRIES if own is None else own, self.workflow.backoff if backoff is None else backoff
        )

    @cached_property
    def own_policy(self) -> RetryPolicy:
        """The retry policy of the workflow."""
        return self.policy()

    def confirm(self) -> None:
        """Note that a fenced write has just gone through."""
        self.owned_at = time.monotonic()

    def doubt(self) -> None:
        """Let the next step ask for the lease, however young the last sign of it is."""
        self.owned_at = float("-inf")

    def must_ask(self) -> bool:
        """Tell whether the last sign of ownership is too old to begin a step on."""
        return self.lost or time.monotonic() - self.owned_at > OWNED_FOR


def read_result(status: str, output: str | None, error: str | None, output_type: Any = None) -> Any:
    """Return what a finished step gives the workflow (law 5: always through the codec).

    Raises:
        StepError: The step failed.
    """
    if status == "failed":
        raise StepError(**json.loads(error or "{}"))
    if output_type is not None:
        return decode_output(output or "null", output_type)
    return decode(output or "null")


def read_event(row: EventRow) -> Event:
    """Return a stored event as the workflow sees it."""
    extra = json.loads(row.extra) if row.extra else {}
    return Event(
        name=row.name,
        data=decode(row.data),
        id=row.external_id or str(row.id),
        ts=row.ts,
        v=extra.get("v"),
        user=extra.get("user"),
    )


def encode_event(row: EventRow) -> str:
    """Return the memo of a wait that the event ended; ``data`` is encoded already."""
    head = json.dumps({"name": row.name, "id": row.external_id or str(row.id), "ts": row.ts})
    extra = f',"extra":{row.extra}' if row.extra else ""
    return f'{head[:-1]},"data":{row.data}{extra}}}'


def decode_event(output: str | None) -> Event | None:
    """Return the event that ``encode_event`` wrote, or None for a time-out."""
    found = decode(output or "null")
    if found is None:
        return None
    extra = found.get("extra") or {}
    return Event(
        name=found["name"],
        data=found["data"],
        id=found["id"],
        ts=found["ts"],
        v=extra.get("v"),
        user=extra.get("user"),
    )
