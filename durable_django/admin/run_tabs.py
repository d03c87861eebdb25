"""The tabs of a run's page: each a piece of a template with its own rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..engine.reveal import reveal_event, reveal_output
from ..engine.words import name_step
from ..models import Attempt, AuditEntry, Event, Run, RunResult, Step, Wait
from ..models.run import ENDED
from .permits import may_see_payloads, may_view
from .render import HIDDEN, show_json, show_link, show_payload, show_table, show_time, show_value
from .run_asked import Asked
from .run_events import show_events
from .run_family import show_family
from .run_rows import read_page, read_result, select
from .run_steps import show_steps
from .trace import fold_trace
from .wait_condition import show_condition

ATTEMPTS_A_PAGE: Final = 20


def _show_payloads(asked: Asked) -> dict[str, Any]:
    run = asked.run
    if not may_see_payloads(asked.request):
        return {"input": HIDDEN, "output": HIDDEN}
    result = read_result(run) if run.status in ENDED else None
    if result is None:
        output: Any = _("The run has not ended.") if run.status not in ENDED else _("There is no output.")
    elif result.error is not None:
        output = show_json(result.error)
    else:
        run.result = result
        output = _show_output(run, result)
    return {"input": show_payload(reveal_event(run.event, run.workflow), run.event.data), "output": output}


def _show_output(run: Run, result: RunResult) -> Any:
    if result.output is None:
        return _("There is no output.")
    return show_payload(reveal_output(run), result.output)


def _show_waits(asked: Asked) -> dict[str, Any]:
    waits = select(Wait, asked.run).defer("bound", "output").order_by("pk")
    table = show_table(
        (_("wait"), _("condition"), _("status"), _("until"), _("ended at")),
        waits,
        lambda wait: (
            show_link(asked.site, Wait, wait.pk, _name_wait(wait)),
            show_condition(wait),
            wait.get_status_display(),
            show_time(wait.expires_at),
            show_time(wait.ended_at),
        ),
    )
    return {"table": table, "nothing": _("It has not waited for an event or a signal.")}


def _name_wait(wait: Wait) -> str:
    return f"{wait.event_name or wait.signal or wait.kind} ({wait.name})"


def _show_attempts(asked: Asked) -> dict[str, Any]:
    page = read_page(select(Attempt, asked.run), asked.after, ATTEMPTS_A_PAGE)
    return {
        "next": page.next,
        "rows": [
            {
                "row": each,
                "number": each.number + 1,
                "where": name_step(each.name, each.index) if each.name else _("the code between steps"),
                "started": show_time(each.started_at),
                "ended": show_time(each.ended_at),
                "again": show_time(each.retry_at) if each.retry_at else "",
                "trace": fold_trace(each.traceback),
            }
            for each in page.rows
        ],
    }


def _show_log(asked: Asked) -> dict[str, Any]:
    entries = AuditEntry.objects.using(asked.run._state.db).filter(run_id=asked.run.pk).order_by("pk")
    table = show_table(
        (_("at"), _("actor"), _("action"), _("reason"), _("result")),
        entries,
        lambda entry: (show_time(entry.at), entry.actor, entry.action, entry.reason, entry.result),
    )
    return {"table": table, "nothing": _("No actions recorded.")}


def _show_raw(asked: Asked) -> dict[str, Any]:
    fields = asked.run._meta.concrete_fields
    return {"raw": show_value({field.attname: getattr(asked.run, field.attname) for field in fields})}


@dataclass(frozen=True)
class Tab:
    """A tab; ``model`` is the one whose rows the user must be allowed to view."""

    code: str
    title: Any
    model: type[Model]
    show: Callable[[Asked], dict[str, Any]]

    @property
    def template(self) -> str:
        """Return the name of its template."""
        name = "table" if self.code in ("waits", "log") else self.code
        return f"durable_django/admin/run_{name}.html"


TABS: Final = (
    Tab("steps", gettext_lazy("Steps"), Step, show_steps),
    Tab("payloads", gettext_lazy("Input/Output"), Run, _show_payloads),
    Tab("events", gettext_lazy("Events"), Event, show_events),
    Tab("waits", gettext_lazy("Waits"), Wait, _show_waits),
    Tab("family", gettext_lazy("Children & parent"), Run, show_family),
    Tab("attempts", gettext_lazy("Attempts"), Attempt, _show_attempts),
    Tab("log", gettext_lazy("Operator actions"), AuditEntry, _show_log),
    Tab("raw", gettext_lazy("Raw"), Run, _show_raw),
)


def list_tabs(request: HttpRequest) -> list[Tab]:
    """Return the tabs that the user may see; there is always one."""
    return [tab for tab in TABS if may_view(request, tab.model)]
