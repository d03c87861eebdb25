"""What an event would do, for the preview of a form; and the same in code and in a terminal."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from django.contrib.admin import AdminSite
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..engine.plan_event import EventPlan, PlannedEnd
from ..engine.words import name_step
from ..models import Run
from .render import find_page, show_link

TEMPLATE: Final = "durable_django/admin/plan.html"


def show_plan(site: AdminSite, plan: EventPlan) -> dict[str, Any]:
    """Return what the template of the preview needs."""
    return {
        "template": TEMPLATE,
        "sentence": _say(plan),
        "starts": [
            {"workflow": name, "count": count} for name, count in sorted(Counter(plan.starts).items())
        ],
        "ends": [_show_end(site, each) for each in plan.ends],
        "cancels": [_show_end(site, each) for each in plan.cancels],
        "refused": [str(each) for each in plan.refused],
        "near": plan.near,
        "more": plan.more,
    }


def _say(plan: EventPlan) -> str:
    starts, ends, cancels = len(plan.starts), len(plan.ends), len(plan.cancels)
    if not (starts or ends or cancels):
        return _("It would start nothing and resume nothing.")
    said = [
        ngettext("It would start %d run.", "It would start %d runs.", starts) % starts if starts else "",
        ngettext("It would resume %d wait.", "It would resume %d waits.", ends) % ends if ends else "",
        ngettext("It would cancel %d run.", "It would cancel %d runs.", cancels) % cancels if cancels else "",
    ]
    return " ".join(text for text in said if text)


def _show_end(site: AdminSite, end: PlannedEnd) -> dict[str, Any]:
    return {
        "link": show_link(site, Run, end.run_id, f"{end.workflow} {end.run_id}"),
        "step": name_step(end.step, end.index) if end.step else "",
        "wait_url": find_page(site, "wait_change", end.wait_id),
    }


def write_send(name: str, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the same in Python, in a terminal and over HTTP."""
    text = json.dumps(data, ensure_ascii=False, default=str)
    body = json.dumps({"name": name, "data": data}, ensure_ascii=False, default=str)
    return [
        ("Python", f"send_event({name!r}, {_write_python(data)})"),
        (_("Command"), f"manage.py durable send {shlex.quote(name)} {shlex.quote(text)}"),
        ("curl", f"curl -d {shlex.quote(body)} https://…/e/$KEY"),
    ]


def write_start(workflow: str, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the same in a terminal."""
    text = json.dumps(data, ensure_ascii=False, default=str)
    return [(_("Command"), f"manage.py durable trigger {shlex.quote(workflow)} {shlex.quote(text)}")]


def _write_python(value: Any) -> str:
    return repr(json.loads(json.dumps(value, default=str)))
