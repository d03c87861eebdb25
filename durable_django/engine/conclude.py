"""Conclude a slice: finish, fail, park or release its run.

Note [An end is one transaction]
    Status, result and the closing of open waits become visible together (law 9), by one statement on
    PostgreSQL, by one transaction on SQLite.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

from ..conf import settings
from ..define.hooks import Place
from ..exceptions import DurableError, OutputTooLarge, SignalConflict, StepError
from ..store.base import NOTHING_TO_NOTE, AttemptWrite, Claimed, Finish, Notes
from ..store.finish import finish_runs
from ..store.park import Park, park_run
from .codec import encode
from .describe_error import describe
from .end import end_awaited, is_awaited
from .faults import faults
from .finish import awrite_finish, write_finish
from .interrupts import Fatal, HookStopped, LeaseLost, Released, StoreFailed, Suspended
from .notes import read_notes
from .nudge import Nudge, send_nudges
from .outcome import Errored, Left, Outcome, Returned
from .park import park
from .pending import Pending
from .retry import Retry, decide
from .seal import seal
from .slice import Slice
from .tool_run import build_attempt, read_decision_time

logger = logging.getLogger("durable_django.execute")

CODE_RETRY_SECONDS = 60.0
"""How often a run whose workflow is gone is offered to a worker again."""


def conclude(part: Slice, outcome: Outcome, seconds: float) -> int | None:
    """End the slice; return None, or the count of ended waits if the run must be replayed at once."""
    match outcome:
        case Returned(value):
            _complete(part, value, seconds)
        case Errored(error):
            _fail_or_retry(part, error, seconds)
        case Left(StoreFailed(error=error)):
            logger.error("the store failed", exc_info=error, extra=_fields(part))
            faults.note(error)
            _fail_or_retry(part, error, seconds)
        case Left(HookStopped(error=withheld)):
            _fail_or_retry(part, withheld, seconds)
        case Left(Fatal(error=coded)):
            _fail(part, coded)
        case Left(Suspended(pending=pending)):
            return _park(part, pending)
        case Left(Released()):
            _release(part)
        case Left(LeaseLost()):
            logger.info("the run is owned by somebody else", extra=_fields(part))
    return None


def _park(part: Slice, pending: Sequence[Pending]) -> int | None:
    try:
        return park(part, pending)
    except SignalConflict as error:
        _fail(part, error)
        return None


def _complete(part: Slice, value: Any, seconds: float) -> None:
    try:
        finish = build_completion(part, value)
    except DurableError as error:
        if error.retriable:
            _fail_or_retry(part, error, seconds)
            return
        _fail(part, error)
        return
    _report(part.using, part.claimed, finish)


async def aconclude(part: Slice, outcome: Outcome, seconds: float, ask: Callable[..., Any]) -> int | None:
    """End a slice from an event loop; an ordinary end goes to the desk, all else through ``ask``."""
    if isinstance(outcome, Returned) and not is_awaited(part.claimed, "completed"):
        try:
            finish = build_completion(part, outcome.value)
        except DurableError:
            finish = None
        if finish is not None:
            _log_end(finish, await awrite_finish(part.using, finish, ask))
            return None
    wakeups: int | None = await ask(conclude, part, outcome, seconds)
    return wakeups


def build_completion(part: Slice, value: Any) -> Finish:
    """Return the end of a run whose workflow returned a value.

    Raises:
        DurableError: The value cannot be stored, or a hook failed on it.
    """
    what = f"workflow {part.workflow.id!r}: "
    output = encode(value, what=what)
    if len(output) > settings.STEP_OUTPUT_BYTES:
        raise OutputTooLarge(what=what, size=len(output), limit=settings.STEP_OUTPUT_BYTES)
    if part.hooks:
        output = seal(part.hooks, output, Place("run", str(part.claimed.id), part.workflow.id))
    return Finish(
        run_id=part.claimed.id,
        token=part.claimed.token,
        status="completed",
        output=output,
        notes=read_notes(part),
    )


def _fail_or_retry(part: Slice, error: Exception, seconds: float) -> None:
    if isinstance(error, StepError):
        _fail(part, error)
        return
    number = part.segment_attempt
    now = read_decision_time(part.using, error)
    policy = part.policy()
    decision = decide(policy, number, error, now=now, jitter=random.random)
    delay = decision.delay if isinstance(decision, Retry) else None
    attempt = build_attempt(error, "", 0, number, seconds, delay)
    if delay is None:
        _fail(part, error, attempt, limit=policy.retries + 1, steps=part.replay.steps)
        return
    claimed = part.claimed
    parked = park_run(
        part.using,
        Park(
            run_id=claimed.id,
            token=claimed.token,
            wakeups=None,
            waits_for="retry",
            wake_in=delay.total_seconds(),
            attempt=number + 1,
            attempt_steps=part.replay.steps,
            attempts=[attempt],
            notes=read_notes(part),
        ),
    )
    if not parked:
        logger.info("the run is owned by somebody else", extra=_fields(part))


def _fail(part: Slice, error: BaseException, attempt: AttemptWrite | None = None, **more: int) -> None:
    fail_run(part.using, part.claimed, error, attempt, read_notes(part), **more)


def fail_run(
    using: str,
    claimed: Claimed,
    error: BaseException,
    attempt: AttemptWrite | None = None,
    notes: Notes = NOTHING_TO_NOTE,
    **more: int,
) -> None:
    """End a run as failed, with what is known of the error, and ``more`` of how often it was tried."""
    told: dict[str, Any] = {**describe(error), **more}
    if isinstance(error, StepError):
        told |= {"name": error.name, "message": error.message, "stack": error.stack or told["stack"]}
        told |= {"step": error.step, "index": error.index, "code": error.error_code or error.code}
    text = json.dumps(told)
    finish = Finish(run_id=claimed.id, token=claimed.token, status="failed", error=text, notes=notes)
    _report(using, claimed, finish, [attempt] if attempt else [])


def _report(using: str, claimed: Claimed, finish: Finish, attempts: Sequence[AttemptWrite] = ()) -> None:
    _log_end(finish, _end(using, claimed, finish, attempts))


def _log_end(finish: Finish, ended: bool) -> None:
    if ended:
        logger.info("run ended", extra={"run_id": str(finish.run_id), "status": finish.status})
        return
    logger.info("the run is owned by somebody else", extra={"run_id": str(finish.run_id)})


def _end(using: str, claimed: Claimed, finish: Finish, attempts: Sequence[AttemptWrite]) -> bool:
    if not is_awaited(claimed, finish.status):
        if not attempts:
            return write_finish(using, finish)
        return finish_runs(using, [finish], attempts=attempts)[0]
    return end_awaited(
        using,
        claimed,
        lambda: finish_runs(using, [finish], attempts=attempts)[0],
        status=finish.status,
        output=finish.output,
        error=finish.error,
    )


def _release(part: Slice) -> None:
    claimed = part.claimed
    released = park_run(
        part.using,
        Park(
            run_id=claimed.id,
            token=claimed.token,
            wakeups=None,
            status="queued",
            waits_for="",
            wake_in=0.0,
            attempt=part.segment_attempt,
            attempt_steps=claimed.attempt_steps,
            notes=read_notes(part),
        ),
    )
    if released:
        send_nudges([Nudge(claimed.id, claimed.workflow, claimed.queue)])


def park_without_code(using: str, claimed: Claimed) -> None:
    """Put a run aside whose workflow this process does not know; it goes on when the code is back."""
    logger.warning("no code for the run", extra={"run_id": str(claimed.id), "workflow": claimed.workflow})
    park_run(
        using,
        Park(
            run_id=claimed.id,
            token=claimed.token,
            wakeups=None,
            waits_for="code",
            wake_in=CODE_RETRY_SECONDS,
            attempt=claimed.attempt,
            attempt_steps=claimed.attempt_steps,
            crash_count=claimed.crash_count - 1,
        ),
    )


def _fields(part: Slice) -> dict[str, str]:
    return {"run_id": str(part.claimed.id), "workflow": part.workflow.id}
