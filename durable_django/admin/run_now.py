"""What a run does now, in the words of a cell: what it waits for, which attempt is next, why it ended."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Case, CharField, JSONField, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, JSONObject, NullIf
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import Attempt, RunStatus, Wait, WaitStatus
from .render import NOTHING, show_moment
from .wait_words import KINDS

WORDS: Final = {
    **KINDS,
    "sleep": gettext_lazy("sleep"),
    "retry": gettext_lazy("next attempt"),
    "code": gettext_lazy("code"),
    "start": gettext_lazy("start"),
    "release": gettext_lazy("branches"),
    "fetch": gettext_lazy("stored results"),
}
"""What the engine notes of a waiting run."""
ASKING: Final = ("event", "signal")
LONGEST: Final = 80


def tell_now(runs: QuerySet[Any]) -> QuerySet[Any]:
    """Return the runs with the name that they wait for, and with the failure that they are retried after."""
    waits = Wait.objects.using(runs.db).filter(run_id=OuterRef("pk"), status=WaitStatus.OPEN)
    named = waits.exclude(kind="cancel").annotate(asked=Coalesce(NullIf("event_name", Value("")), "signal"))
    failed = Attempt.objects.using(runs.db).filter(run_id=OuterRef("pk")).order_by("-pk")
    told = failed.annotate(told=JSONObject(step="name", number="number")).values("told")
    extended: QuerySet[Any] = runs.annotate(
        asked=Case(
            When(
                status=RunStatus.WAITING,
                waits_for__in=ASKING,
                then=Subquery(named.order_by("expires_at").values("asked")[:1]),
            ),
            output_field=CharField(),
        ),
        failed=Case(
            When(status=RunStatus.WAITING, waits_for="retry", then=Subquery(told[:1])),
            output_field=JSONField(),
        ),
    )
    return extended


def show_now(run: Any) -> str:
    """Show what the run waits for and until when, who executes it, or why it ended."""
    if run.ended_at is not None:
        return run.reason[:LONGEST] or NOTHING
    if run.status == RunStatus.RUNNING and run.owner:
        return format_html('<span class="dd-cut" title="{0}">{0}</span>', run.owner)
    if not run.waits_for:
        return run.reason[:LONGEST] or NOTHING
    return format_html('<span class="dd-nowrap">{} · {}</span>', _name(run), show_moment(run.wake_at))


def _name(run: Any) -> Any:
    failed = getattr(run, "failed", None)
    if failed:
        values = {"step": failed["step"][:LONGEST], "number": failed["number"] + 2}
        between = _("attempt %(number)d")
        return (_("%(step)s, attempt %(number)d") if failed["step"] else between) % values
    asked = getattr(run, "asked", None)
    return asked[:LONGEST] if asked else WORDS.get(run.waits_for, run.waits_for)
