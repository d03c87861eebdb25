"""What the page of a run reads: each table in one bounded query, without payloads.

Note [A page of a run's rows is found through the run]
    Asked for the first rows of a run by their key, PostgreSQL may walk along the keys of all runs until it has
    met enough of this one's: seconds, for a run with thousands of steps. A sum is no key, so it finds the rows
    through the run and sorts them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, DurationField, ExpressionWrapper, F, Max, Model, Q, QuerySet
from django.db.models.functions import JSONObject, Left

from ..clock import Now
from ..engine.words import WORDS
from ..models import Attempt, Run, RunResult, Step, StepKind, StepStatus

PAGE: Final = 200
"""Rows of a page; with more, a browser gets slow before the database does."""
CHILDREN: Final = 200
ATTEMPTS: Final = 1_000
SLOWEST: Final = 50
"""Rows of the slowest steps."""
MESSAGE_LENGTH: Final = 300
SLEPT: Final = Q(kind=StepKind.SLEEP, status=StepStatus.WAITING, ready_at__lte=Now())
"""A sleep that is over: the clock alone ends it, so its row stays as it is."""
STATES: Final = {
    "completed": Q(status=StepStatus.COMPLETED) | SLEPT,
    "failed": Q(status=StepStatus.FAILED),
    "retrying": Q(status=StepStatus.RETRYING),
    "sleeping": Q(kind=StepKind.SLEEP, status=StepStatus.WAITING, ready_at__gt=Now()),
    "waiting": Q(status=StepStatus.WAITING) & ~Q(kind=StepKind.SLEEP),
}
EXECUTED: Final = (StepKind.RUN, StepKind.FETCH, StepKind.INFER, StepKind.WRAP, StepKind.SEND)
ONLY: Final = {
    "failed": STATES["failed"] | STATES["retrying"],
    "slow": Q(kind__in=EXECUTED, ended_at__isnull=False),
    "waiting": STATES["waiting"] | STATES["sleeping"],
}
"""What the steps can be filtered by."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A page of rows of a run; ``next`` is the key to ask the next page with."""

    rows: list[Any]
    next: int | None


def read_page(rows: QuerySet[Any], after: int, size: int = PAGE) -> Rows:
    """Return the rows with a higher key than ``after``, in the order in which they were first stored."""
    placed = rows.annotate(place=F("pk") + 0)
    found = list(placed.filter(place__gt=after).order_by("place")[: size + 1])
    return Rows(rows=found[:size], next=found[size - 1].pk if len(found) > size else None)


def select(model: type[Model], run: Run) -> QuerySet[Any]:
    """Return the rows of the run."""
    return model._default_manager.using(run._state.db).filter(run_id=run.pk)


def read_steps(run: Run, *, after: int, only: str = "", name: str = "") -> Rows:
    """Return a page of steps.

    Args:
        only: A code of ONLY, or nothing.
        name: The id of the steps, or nothing for any.
    """
    steps = select(Step, run).defer("output", "error")
    if name:
        steps = steps.filter(name=name)
    if only:
        steps = steps.filter(ONLY[only])
    if only != "slow":
        return read_page(steps, after)
    lasted = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    return Rows(rows=list(steps.order_by(lasted.desc(), "pk")[:SLOWEST]), next=None)


def tell_steps() -> JSONObject:
    """Return the aggregate of a run's steps: how many there are in each state, and when the last one ended."""
    counts = {code: Count("pk", filter=chosen) for code, chosen in STATES.items()}
    return JSONObject(last=Max("ended_at"), **counts)


def count_steps(told: dict[str, Any] | None) -> dict[str, int]:
    """Return the number of steps for each state that occurs, of what ``tell_steps`` told."""
    found = {str(WORDS[code].label): (told or {}).get(code, 0) for code in sorted(STATES)}
    return {label: count for label, count in found.items() if count}


def read_attempts(run: Run, steps: Iterable[Step]) -> list[Attempt]:
    """Return the failed attempts of these steps, with the beginnings of their messages."""
    names = {step.name for step in steps if step.attempt}
    if not names:
        return []
    attempts = select(Attempt, run).filter(name__in=names).defer("traceback", "message")
    return list(attempts.annotate(begin=Left("message", MESSAGE_LENGTH)).order_by("pk")[:ATTEMPTS])


def read_children(run: Run, steps: Iterable[Step]) -> list[Run]:
    """Return the runs that these steps invoked."""
    names = {step.name for step in steps if step.kind == StepKind.INVOKE}
    if not names:
        return []
    runs = Run.objects.using(run._state.db).filter(parent_id=run.pk, parent_step__in=names)
    columns = "workflow", "status", "waits_for", "parent_step", "parent_index", "created_at", "ended_at"
    return list(runs.only(*columns).order_by("pk")[:CHILDREN])


def read_result(run: Run) -> RunResult | None:
    """Return what an ended run left."""
    found: RunResult | None = select(RunResult, run).first()
    return found
