"""Plain rows that travel between the store and the engine, and the way to a cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections, transaction

EVENT, RUN, RESULT, STEP, ATTEMPT, WAIT, WAIT_KEY, PATH_SET, WORKER, SCHEDULE = (
    f"durable_django_{name}"
    for name in (
        "event",
        "run",
        "runresult",
        "step",
        "attempt",
        "wait",
        "waitkey",
        "pathset",
        "worker",
        "schedule",
    )
)
SUBJECT = "durable_django_runsubject"
WORKFLOW = "durable_django_workflowstate"
ROLLUP = "durable_django_rollup"
BULK = "durable_django_bulkoperation"
ARRIVAL_SEQUENCE = "durable_django_event_arrival"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A stored event; ``data`` and ``extra`` are encoded, a ``ts`` of 0 becomes the time at which it is stored."""

    id: UUID
    name: str
    data: str
    ts: int
    external_id: str | None = None
    extra: str | None = None
    source: str = "code"


@dataclass(frozen=True, slots=True)
class Parent:
    """The step of another run that waits for this run to end."""

    run_id: UUID
    step: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A run that this process owns under ``token``; ``fresh`` says that it cannot have memos yet."""

    id: UUID
    workflow: str
    token: int
    attempt: int
    attempt_steps: int
    crash_count: int
    wakeups: int
    queue: str
    event: EventRow
    origin: str = "event"
    depth: int = 0
    parent: Parent | None = None
    version: str = ""

    @property
    def fresh(self) -> bool:
        return self.token == 1


# Note [Values of the hot path are not frozen]: a frozen dataclass assigns each field through
# object.__setattr__, which makes one of a step's dozen fields cost more than its INSERT costs us.
@dataclass(slots=True, kw_only=True)
class Memo:
    """A stored step; ``due`` says whether ``ready_at`` has passed by the database's clock.

    ``input`` is what an operator gave in place of the arguments that the code gives.
    """

    name: str
    index: int
    kind: str
    status: str
    output: str | None
    error: str | None
    attempt: int
    due: bool
    ready_in: float | None  # seconds from now; None: no date
    input: str | None = None


@dataclass(slots=True, kw_only=True)
class StepWrite:
    """A step to be stored. ``ready_in`` counts from the database's now; ``ready_at`` is absolute."""

    run_id: UUID
    token: int
    name: str
    index: int
    kind: str
    status: str
    output: str | None = None
    error: str | None = None
    attempt: int = 0
    seconds: float = 0.0  # how long the call took
    ready_in: float | None = None
    ready_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptWrite:
    """A failed attempt to be stored with the step or run that it belongs to."""

    name: str
    index: int
    number: int
    error_type: str
    message: str
    traceback: str
    worker: str
    seconds: float
    retry_in: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitWrite:
    """A question to the events to come or, with ``signal``, to the signals, stored with its step.

    ``mode`` is "any" or "all" if the step has several; ``looks_from`` is set if earlier events count.
    """

    name: str
    index: int
    event_name: str = ""
    match: str = ""
    expression: str = ""
    bound: str = "{}"
    keys: Sequence[int] = ()
    path_sets: Sequence[str] = ()
    kind: str = "event"
    branch: int = 0
    mode: str = ""
    signal: str = ""
    replaces: bool = False
    looks_from: int | None = None


@dataclass(frozen=True, slots=True)
class Notes:
    """What a slice leaves on its run besides its results; None leaves what is there."""

    version: str | None = None
    warning: str | None = None


NOTHING_TO_NOTE = Notes()
NOTES_SQL = "version = COALESCE(%s, version), warning = COALESCE(%s, warning)"

# Note [A run's waits are found by the run]: a planner without statistics, as after a bulk of new waits, combines
# the index of the run with that of all open waits, and so reads every one of them at each end of a run. It cannot
# see that this is the condition of that index.
OPEN = "COALESCE(w.status, '') = 'open'"
"""The condition that a wait ``w`` of a run that is known is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The end of a run."""

    run_id: UUID
    token: int
    status: str
    output: str | None = None
    error: str | None = None
    reason: str = ""
    notes: Notes = NOTHING_TO_NOTE


def is_postgres(using: str) -> bool:
    """Tell PostgreSQL from SQLite; other vendors are refused by a system check."""
    return bool(connections[using].vendor == "postgresql")


@contextmanager
def cursor(using: str) -> Iterator[Any]:
    """Give a cursor of the alias; outside a transaction each statement commits itself."""
    with connections[using].cursor() as handle:
        yield handle


@contextmanager
def writing(using: str) -> Iterator[Any]:
    """Give a cursor inside a transaction of its own, or inside the caller's."""
    with transaction.atomic(using=using, savepoint=False), connections[using].cursor() as handle:
        yield handle


def adapt_id(using: str, value: UUID) -> Any:
    """Return the UUID as the driver of the alias wants it."""
    return value if is_postgres(using) else value.hex


def read_id(value: Any) -> UUID:
    """Return a UUID from what a raw cursor gave."""
    return value if isinstance(value, UUID) else UUID(value)


def adapt_time(using: str, value: datetime | None) -> Any:
    """Return the instant as the driver of the alias wants it."""
    return connections[using].ops.adapt_datetimefield_value(value)
