"""The tabs of a run's page: each a piece of a template with its own rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..engine.reveal import reveal_event, reveal_output
from ..engine.words import name_state, name_step
from ..models import Attempt, AuditEntry, Event, Run, Step, Wait
from ..models.run import ENDED
from .permits import may_see_payloads, may_view
from .render import HIDDEN, show_json, show_link, show_state, show_table, show_time, show_value
from .run_rows import (
    count_steps,
    read_attempts,
    read_children,
    read_page,
    read_result,
    read_steps,
    select,
)
from .timeline import build_timeline
from .trace import fold_trace

ATTEMPTS_A_PAGE: Final = 20


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Whose page, of which run, with which parameters."""

    site: AdminSite
    request: HttpRequest
    run: Run
    now: datetime

    @property
    def after(self) -> int:
        """Return the key after which the page begins."""
        text = self.request.GET.get("after", "")
        return int(text) if text.isdecimal() and len(text) < 19 else 0


def _show_steps(asked: Asked) -> dict[str, Any]:
    failed = asked.request.GET.get("only") == "failed"
    page = read_steps(asked.run, after=asked.after, failed=failed)
    attempts = read_attempts(asked.run, page.rows) if may_view(asked.request, Attempt) else []
    cut = asked.request.GET.get("scale") != "true"
    timeline = build_timeline(
        asked.run, page.rows, attempts, read_children(asked.run, page.rows), asked.now, cut=cut
    )
    return {
        "timeline": timeline,
        "counts": count_steps(asked.run),
        "only_failed": failed,
        "cut": cut,
        "next": page.next,
        "rows": [
            {
                "line": line,
                "state": show_state(line.state),
                "link": show_link(asked.site, Step, line.step.pk, line.name),
                "child": show_link(asked.site, Run, line.child.pk) if line.child else "",
                "attempts": [{"row": each, "ended": show_time(each.ended_at)} for each in line.attempts],
            }
            for line in timeline.lines
        ],
    }


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
        output = show_value(reveal_output(run)) if result.output is not None else _("There is no output.")
    return {"input": show_value(reveal_event(run.event, run.workflow)), "output": output}


def _show_events(asked: Asked) -> dict[str, Any]:
    event = asked.run.event
    waits = select(Wait, asked.run).filter(event_id__isnull=False, signal="").defer("bound", "output")
    return {
        "event": show_link(asked.site, Event, event.pk, f"{event.name} {event.pk}"),
        "event_at": show_time(event.created_at),
        "event_source": event.get_source_display(),
        "received": show_table(
            (_("step"), _("event"), _("received at")),
            waits.order_by("pk"),
            lambda wait: (
                name_step(wait.name, wait.index),
                show_link(asked.site, Event, wait.event_id, f"{wait.event_name} {wait.event_id}"),
                show_time(wait.ended_at),
            ),
        ),
    }


def _show_waits(asked: Asked) -> dict[str, Any]:
    waits = select(Wait, asked.run).defer("bound", "output").order_by("pk")
    table = show_table(
        (_("wait"), _("condition"), _("status"), _("until"), _("ended at")),
        waits,
        lambda wait: (
            show_link(asked.site, Wait, wait.pk, _name_wait(wait)),
            format_html("<code>{}</code>", wait.match or wait.expression)
            if wait.match or wait.expression
            else "",
            wait.get_status_display(),
            show_time(wait.expires_at),
            show_time(wait.ended_at),
        ),
    )
    return {"table": table, "nothing": _("It has not waited for an event or a signal.")}


def _name_wait(wait: Wait) -> str:
    return f"{wait.event_name or wait.signal or wait.kind} ({wait.name})"


def _show_family(asked: Asked) -> dict[str, Any]:
    children = Run.objects.using(asked.run._state.db).filter(parent_id=asked.run.pk).order_by("pk")
    columns = "workflow", "status", "waits_for", "parent_step", "parent_index", "created_at", "ended_at"
    return {
        "parent": show_link(asked.site, Run, asked.run.parent_id),
        "table": show_table(
            (_("run"), _("workflow"), _("state"), _("invoked by step"), _("created at"), _("ended at")),
            children.only(*columns),
            lambda run: (
                show_link(asked.site, Run, run.pk),
                run.workflow,
                show_state(name_state(run)),
                name_step(run.parent_step, run.parent_index),
                show_time(run.created_at),
                show_time(run.ended_at),
            ),
        ),
        "nothing": _("It has invoked no other run."),
        "reruns": _list_reruns(asked),
    }


def _list_reruns(asked: Asked) -> str:
    reruns = Run.objects.using(asked.run._state.db).filter(rerun_of=asked.run.pk).order_by("pk")
    return show_table(
        (_("run"), _("state"), _("from step"), _("created at")),
        reruns.only("workflow", "status", "waits_for", "rerun_from", "rerun_index", "created_at"),
        lambda run: (
            show_link(asked.site, Run, run.pk),
            show_state(name_state(run)),
            name_step(run.rerun_from, run.rerun_index) if run.rerun_from else _("the beginning"),
            show_time(run.created_at),
        ),
    )


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
    Tab("steps", gettext_lazy("Steps"), Step, _show_steps),
    Tab("payloads", gettext_lazy("Input/Output"), Run, _show_payloads),
    Tab("events", gettext_lazy("Events"), Event, _show_events),
    Tab("waits", gettext_lazy("Waits"), Wait, _show_waits),
    Tab("family", gettext_lazy("Children & parent"), Run, _show_family),
    Tab("attempts", gettext_lazy("Attempts"), Attempt, _show_attempts),
    Tab("log", gettext_lazy("Operator actions"), AuditEntry, _show_log),
    Tab("raw", gettext_lazy("Raw"), Run, _show_raw),
)


def list_tabs(request: HttpRequest) -> list[Tab]:
    """Return the tabs that the user may see; there is always one."""
    return [tab for tab in TABS if may_view(request, tab.model)]
