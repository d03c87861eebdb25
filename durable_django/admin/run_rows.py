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

from django.db.models import Count, F, Model, QuerySet
from django.db.models.functions import Left

from ..engine.words import WORDS
from ..models import Attempt, Run, RunResult, Step, StepKind, StepStatus

PAGE: Final = 200
"""Rows of a page; with more, a browser gets slow before the database does."""
CHILDREN: Final = 200
ATTEMPTS: Final = 1_000
MESSAGE_LENGTH: Final = 300


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


def read_steps(run: Run, *, after: int, failed: bool) -> Rows:
    """Return a page of steps."""
    steps = select(Step, run).defer("output", "error")
    if failed:
        steps = steps.filter(status__in=(StepStatus.FAILED, StepStatus.RETRYING))
    return read_page(steps, after)


def count_steps(run: Run) -> dict[str, int]:
    """Return the number of steps for each status that occurs."""
    counted = select(Step, run).order_by().values_list("status").annotate(count=Count("pk"))
    return {str(WORDS[status].label): count for status, count in sorted(counted)}


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


def read_last_attempt(run: Run) -> Attempt | None:
    """Return the newest failure."""
    found: Attempt | None = select(Attempt, run).order_by("-pk").first()
    return found


def read_result(run: Run) -> RunResult | None:
    """Return what an ended run left."""
    found: RunResult | None = select(RunResult, run).first()
    return found
