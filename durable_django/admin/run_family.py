"""The tab of a run's family: who invoked it, whom it invoked, and what ran again."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.utils.html import format_html
from django.utils.translation import gettext as _

from ..engine.alias import get_alias
from ..engine.words import name_state, name_step
from ..models import Run
from .render import NOTHING, find_page, show_link, show_rows, show_short, show_state, show_table, show_time
from .run_asked import Asked

CHILDREN: Final = 50
"""Children of a page."""
COLUMNS: Final = ("workflow", "status", "waits_for", "parent_step", "parent_index", "created_at", "ended_at")


def show_family(asked: Asked) -> dict[str, Any]:
    """Return what the template shows of parent, children and reruns."""
    found = _read_children(asked)
    page = found[:CHILDREN]
    headings = (
        *(_("run"), _("state"), _("invoked by step")),
        *(_("created at"), _("ended at"), _("its children")),
    )
    return {
        "parent": _show_parent(asked),
        "table": show_rows(headings, [_tell_child(asked, run) for run in page]),
        "nothing": _("It has invoked no other run."),
        "next_url": asked.link("family", after=str(page[-1].pk)) if len(found) > CHILDREN else "",
        "reruns": _list_reruns(asked),
    }


def _read_children(asked: Asked) -> list[Any]:
    using = get_alias()
    children = Run.objects.using(using).filter(parent_id=asked.run.pk)
    if after := _read_key(asked.get("after")):
        children = children.filter(pk__gt=after)
    deeper = Exists(Run.objects.using(using).filter(parent_id=OuterRef("pk")))
    return list(children.only(*COLUMNS).annotate(deeper=deeper).order_by("pk")[: CHILDREN + 1])


def _read_key(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _show_parent(asked: Asked) -> str:
    run = asked.run
    if run.parent_id is None:
        return NOTHING
    parent = (
        Run.objects.using(get_alias())
        .filter(pk=run.parent_id)
        .only("workflow", "status", "waits_for")
        .first()
    )
    if parent is None:
        return show_link(asked.site, Run, run.parent_id)
    link, step = (
        show_short(asked.site, parent.pk, parent.workflow),
        name_step(run.parent_step, run.parent_index),
    )
    return format_html(
        "{} {} {}", show_state(name_state(parent)), link, _("in step “%(step)s”") % {"step": step}
    )


def _tell_child(asked: Asked, run: Any) -> tuple[Any, ...]:
    url = find_page(asked.site, "run_change", run.pk)
    return (
        show_short(asked.site, run.pk, run.workflow),
        show_state(name_state(run)),
        name_step(run.parent_step, run.parent_index),
        show_time(run.created_at),
        show_time(run.ended_at),
        format_html('<a href="{}?tab=family">{}</a>', url, _("show")) if run.deeper and url else "",
    )


def _list_reruns(asked: Asked) -> str:
    reruns = Run.objects.using(get_alias()).filter(rerun_of=asked.run.pk).order_by("pk")
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
