"""Execute one slice: replay the workflow function, then finish, fail or park the run.

Note [The first execution returns what replay will return]
    Every result makes the trip through the codec before the workflow sees it (law 5), so a run behaves
    the same whether it was ever interrupted or not.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from contextlib import ExitStack
from typing import Any

from asgiref.sync import async_to_sync

from ..conf import settings
from ..define.context import Context, current_context
from ..define.workflow import Workflow
from ..exceptions import RunQuarantined
from ..store.base import Claimed, Memo
from ..store.load import load_memos
from .conclude import conclude, fail_run, park_without_code
from .drive import Driver
from .errand import hand_over
from .find_hooks import find_hooks
from .interrupts import Interrupt
from .invoke import no_exits, restored_connections
from .keeper import keeper
from .logger import ReplayAwareLogger
from .outcome import Errored, Left, Outcome, Returned
from .remote import ORIGIN as STEP_ORIGIN
from .remote import cancel_unasked, find_workflow
from .scope import current_scope
from .slice import Slice
from .watch import close_slice, open_slice

logger = logging.getLogger("durable_django.execute")


def execute_run(using: str, claimed: Claimed, *, lend: bool = False, memos: list[Memo] | None = None) -> None:
    """Execute a claimed run on this thread until it ends or has to wait.

    With ``lend`` it also leaves the thread while it awaits an answer from outside; see errand.py.
    ``memos`` are those of the run, if they were loaded since it was claimed.
    """
    workflow = find_workflow(claimed.workflow)
    if workflow is not None and workflow.is_async:
        from .adrive import ask_caller
        from .aexecute import aexecute_run

        async_to_sync(aexecute_run)(using, claimed, ask_caller, grouped=False, lend=lend)
        return
    current: Claimed | None = claimed
    while current is not None:
        part = prepare(using, current, again=current is not claimed, memos=memos)
        current, memos = _execute_slice(part, lend) if part is not None else None, None


def prepare_at_once(using: str, claimed: Claimed, memos: list[Memo] | None) -> Slice | None:
    """Return the slice if that takes neither the store nor a hook of the project's."""
    workflow = find_workflow(claimed.workflow)
    if workflow is None or claimed.crash_count > settings.CRASH_LIMIT or claimed.origin == STEP_ORIGIN:
        return None
    known = [] if memos is None and claimed.fresh else memos
    if known is None or find_hooks(workflow):
        return None
    return Slice(using, claimed, workflow, known)


def prepare(
    using: str, claimed: Claimed, *, again: bool = False, memos: list[Memo] | None = None
) -> Slice | None:
    """Return the slice with all that the run remembers, or None if the run cannot be executed here."""
    workflow = find_workflow(claimed.workflow)
    if workflow is None:
        park_without_code(using, claimed)
        return None
    if claimed.crash_count > settings.CRASH_LIMIT:
        fail_run(using, claimed, RunQuarantined(count=claimed.crash_count - 1))
        return None
    if cancel_unasked(using, claimed):
        return None
    if memos is None:
        memos = [] if claimed.fresh and not again else load_memos(using, claimed.id)
    part = Slice(using, claimed, workflow, memos)
    error = open_slice(part) if part.hooks else None
    if error is None:
        return part
    close_slice(part, Errored(error))
    conclude(part, Errored(error), 0.0)
    return None


def _execute_slice(part: Slice, lend: bool) -> Claimed | None:
    began = time.monotonic()
    with ExitStack() as held:
        held.enter_context(keeper.hold(part))
        outcome = _call(part, lend)
        if part.hooks:
            close_slice(part, outcome)
        if lend and hand_over(part, outcome, held):
            return None
        wakeups = conclude(part, outcome, time.monotonic() - began)
    return None if wakeups is None else dataclasses.replace(part.claimed, wakeups=wakeups)


def _call(part: Slice, lend: bool) -> Outcome:
    driver = Driver(part, lends=lend)
    context = build_context(part, driver)
    token = current_context.set(context)
    scope = current_scope.set(driver.scope)
    try:
        with restored_connections(), no_exits(f"workflow {part.workflow.id!r}"):
            value = part.workflow.function(context)
    except Interrupt as interrupt:
        return Left(interrupt)
    except Exception as error:  # noqa: BLE001  the user's code may raise anything
        return Errored(error) if driver.left is None else Left(driver.left)
    finally:
        current_context.reset(token)
        current_scope.reset(scope)
    return Returned(value) if driver.left is None else Left(driver.left)


def build_context(part: Slice, engine: Any) -> Context:
    """Return the context that the workflow function gets."""
    workflow: Workflow[Any, Any] = part.workflow
    return Context(
        engine=engine,
        workflow=workflow,
        run_id=part.claimed.id,
        event=part.event,
        logger=ReplayAwareLogger(part),
    )
