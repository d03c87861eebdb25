"""The CEL tester of the list of runs: an expression over the events of the newest runs that the filters leave.

Note [An expression is no filter]
    No index knows it, so it is decided run by run: for so many runs and so many seconds, and the list says how
    far it got. The engine's own budget holds for each run; the first that exceeds it ends the look. Values that
    REDACT masks are masked here too, or they could be guessed.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Case, F, QuerySet, TextField, Value, When
from django.utils.translation import gettext as _

from ..engine.expressions import Expression, Outcome, compile_expression
from ..engine.reveal import reveal_event
from ..exceptions import InvalidExpression
from ..models import Event, Run
from ..store.payload_size import Size
from .render import SHOWN_CHARACTERS

PARAMETER: Final = "cel"
CHUNK: Final = 100
SPENT: Final = ("budget", "too_deep")
"""The codes of an expression that is too expensive."""


@dataclass(kw_only=True)
class Tested:
    """How far an expression got, and with what."""

    source: str
    error: str = ""
    """Why it is refused, for the place beside the field."""
    checked: int = 0
    matched: list[Run] = field(default_factory=list)
    undecided: dict[str, int] = field(default_factory=dict)
    last: Any = None
    """The key of the last run that was looked at."""
    more: bool = False
    """Whether there are runs behind it."""

    def note(self, run: Run, outcome: Outcome) -> None:
        """Take in what was decided for a run."""
        if outcome.error in SPENT:
            self.error = _("It takes too long to be decided for the run %s. Make it simpler.") % run.pk
            return
        self.checked, self.last = self.checked + 1, run.pk
        if outcome.error:
            self.undecided[outcome.error] = self.undecided.get(outcome.error, 0) + 1
        elif outcome.value:
            self.matched.append(run)


def read_expression(source: str) -> tuple[Expression | None, str]:
    """Return the expression, or why it is none."""
    try:
        return compile_expression(source, allow_async=False, condition=True), ""
    except InvalidExpression as error:
        text = _("Column %(column)s: %(reason)s.")
        return None, text % error.details


def check_runs(
    rows: QuerySet[Run], expression: Expression, *, found: int, most: int, seconds: float
) -> Tested:
    """Decide the expression for runs in their order.

    Args:
        found: The number of runs it is true of after which the look ends.
        most: The number of runs that are looked at.
        seconds: The time after which it ends.
    """
    tested, end = Tested(source=expression.source), time.monotonic() + seconds
    with closing(_read(rows, most + 1)) as runs:
        for run in runs:
            if tested.checked == most or len(tested.matched) == found or time.monotonic() > end:
                tested.more = True
                break
            tested.note(run, _decide(expression, run))
            if tested.error:
                break
    return tested


def _read(rows: QuerySet[Run], most: int) -> Generator[Any]:
    """Read them one after the other; what is too large for a page stays in the database."""
    small = Case(
        When(size__lte=SHOWN_CHARACTERS, then=F("event__data")), default=Value(""), output_field=TextField()
    )
    told = rows.annotate(
        size=Size("event__data"),
        small=small,
        event_name=F("event__name"),
        event_ts=F("event__ts"),
        sender_id=F("event__external_id"),
    )
    yield from told[:most].iterator(chunk_size=CHUNK)


def _decide(expression: Expression, run: Any) -> Outcome:
    if not run.small:
        return Outcome(value=False, error="too_large")
    event = Event(
        pk=run.event_id, name=run.event_name, ts=run.event_ts, external_id=run.sender_id, data=run.small
    )
    read = {
        "id": run.sender_id or str(run.event_id),
        "name": run.event_name,
        "ts": run.event_ts,
        "data": reveal_event(event, run.workflow),
    }
    return expression.evaluate(read)
