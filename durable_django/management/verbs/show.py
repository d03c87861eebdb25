"""``durable show``: one run with its steps, failed attempts, waits, event and result."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...clock import read_now, read_time
from ...engine.alias import get_alias
from ...engine.diagnose import Diagnosis, diagnose
from ...engine.words import is_over, say_instant, say_length
from ...models import Attempt, AuditEntry, Run, RunResult, Step, Wait, WaitStatus
from ..console import Console, to_json
from ..payload import open_stored
from ..rows import (
    attempt_as_dict,
    event_as_dict,
    find_run,
    read_error,
    run_as_dict,
    step_as_dict,
    wait_as_dict,
)
from ..words import say_error, say_question, say_run, shorten

HELP = "show a run: state in words, steps, waits, result"


@dataclass(frozen=True)
class Told:
    """A run and all that belongs to it."""

    run: Run
    steps: list[Step]
    attempts: list[Attempt]
    waits: list[Wait]
    actions: list[AuditEntry]
    result: RunResult | None
    why: Diagnosis | None
    now: datetime


def add_arguments(parser: ArgumentParser) -> None:
    """Add the id and ``--full``."""
    parser.add_argument("run", help="the run's id, or 6 or more characters of a recent one's")
    parser.add_argument("--full", action="store_true", help="show payloads uncut, and tracebacks")


def handle(console: Console, options: dict[str, Any]) -> None:
    """Print the run."""
    told = _collect(get_alias(), options["run"])
    if console.as_json:
        console.data(_as_dict(told))
        return
    length = 1_000_000 if options["full"] else 100
    _show_header(console, told)
    _show_event(console, told, length)
    _show_steps(console, told, length)
    _show_attempts(console, told, full=options["full"])
    _show_waits(console, told)
    _show_actions(console, told)
    _show_result(console, told, length)


def _collect(using: str, text: str) -> Told:
    run = find_run(using, text)
    now = read_now(using)
    return Told(
        run=run,
        steps=list(Step.objects.using(using).filter(run_id=run.id).order_by("id")),
        attempts=list(Attempt.objects.using(using).filter(run_id=run.id).order_by("id")),
        waits=list(Wait.objects.using(using).filter(run_id=run.id).order_by("id")),
        actions=list(AuditEntry.objects.using(using).filter(run_id=run.id).order_by("id")),
        result=RunResult.objects.using(using).filter(run_id=run.id).first(),
        why=diagnose(using, run, now),
        now=now,
    )


def _as_dict(told: Told) -> dict[str, Any]:
    result = told.result
    return {
        **run_as_dict(told.run),
        "in_words": say_run(told.run, told.steps, told.waits, told.now),
        "why": told.why.as_dict() if told.why else None,
        "event": event_as_dict(told.run.event),
        "steps": [step_as_dict(step) for step in told.steps],
        "attempts": [attempt_as_dict(attempt) for attempt in told.attempts],
        "waits": [wait_as_dict(wait) for wait in told.waits],
        "actions": [_action_as_dict(action) for action in told.actions],
        "output": open_stored(result.output) if result else None,
        "error": read_error(result.error) if result else None,
    }


def _action_as_dict(action: AuditEntry) -> dict[str, Any]:
    return {
        "at": action.at,
        "actor": action.actor,
        "action": action.action,
        "reason": action.reason or None,
        "result": action.result,
    }


def _show_header(console: Console, told: Told) -> None:
    run = told.run
    colour = {"completed": "ok", "failed": "fail", "cancelled": "warn"}.get(run.status, "wait")
    console.line(f"{console.paint('bold', run.workflow)} {run.id}")
    console.line(f"  status    {console.paint(colour, say_run(run, told.steps, told.waits, told.now))}")
    _show_why(console, told.why)
    console.line(f"  created   {say_instant(run.created_at)} by {run.origin}")
    if run.started_at is not None:
        console.line(f"  started   {say_instant(run.started_at)}")
    if run.ended_at is not None:
        took = read_time(run.ended_at) - read_time(run.created_at)
        console.line(f"  took      {say_length(took.total_seconds())}")
    for label, value in (("queue", run.queue), ("key", run.key), ("version", run.version)):
        if value:
            console.line(f"  {label:9} {value}")
    if run.warning:
        console.line(f"  warning   {console.paint('warn', run.warning)}")
    if run.rerun_of is not None:
        console.line(f"  rerun of  {run.rerun_of}")


def _show_why(console: Console, why: Diagnosis | None) -> None:
    if why is None:
        return
    console.line(f"  why       {console.paint('warn', why.sentence) if why.stuck else why.sentence}")
    if why.remedy:
        console.line(f"            {why.remedy}")


def _show_event(console: Console, told: Told, length: int) -> None:
    event = told.run.event
    data = shorten(to_json(open_stored(event.data)), length)
    console.line(f"  event     {event.name} {event.id} {data}")


def _show_steps(console: Console, told: Told, length: int) -> None:
    if not told.steps:
        return
    console.line("\nSteps")
    rows = [("STEP", "KIND", "STATUS", "FAILED", "BEGAN", "TOOK", "OUTPUT")]
    for step in told.steps:
        took = ""
        if step.ended_at is not None:
            took = say_length((read_time(step.ended_at) - read_time(step.started_at)).total_seconds())
        told_output = say_error(step.error) if step.error else to_json(open_stored(step.output))
        output = shorten(told_output, length) if step.ended_at is not None else ""
        began = say_instant(step.started_at)
        status = "over" if is_over(step, told.now) else step.status
        rows.append((str(step), step.kind, status, str(step.attempt), began, took, output))
    console.table(rows)


def _show_attempts(console: Console, told: Told, *, full: bool) -> None:
    if not told.attempts:
        return
    console.line("\nFailed attempts")
    for each in told.attempts:
        where = each.name or "the code between steps"
        after = f"; next at {say_instant(each.retry_at)}" if each.retry_at else "; the last"
        console.line(
            f"  {say_instant(each.ended_at)}  {where}, attempt {each.number + 1} on {each.worker}: "
            f"{each.error_type}: {shorten(each.message)}{after}"
        )
        if full:
            console.line(each.traceback)


def _show_waits(console: Console, told: Told) -> None:
    if not told.waits:
        return
    console.line("\nWaits")
    for wait in told.waits:
        ended = f"until {say_instant(wait.expires_at)}"
        if wait.status != WaitStatus.OPEN:
            ended = f"{WaitStatus(wait.status).label} at {say_instant(wait.ended_at)}"
        console.line(f"  {wait.name}: {say_question(wait)}, {ended}")


def _show_actions(console: Console, told: Told) -> None:
    if not told.actions:
        return
    console.line("\nOperator log")
    for each in told.actions:
        why = f" ({each.reason})" if each.reason else ""
        console.line(f"  {say_instant(each.at)}  {each.actor}: {each.action}{why}: {each.result}")


def _show_result(console: Console, told: Told, length: int) -> None:
    result = told.result
    if result is None:
        return
    if result.error is not None:
        console.line(f"\nError\n  {say_error(result.error)}")
    elif result.output is not None:
        console.line(f"\nOutput\n  {shorten(to_json(open_stored(result.output)), length)}")
