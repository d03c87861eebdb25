"""What is known of an error besides its text: how often it was seen, and the remedy of those that are ours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils.http import urlencode
from django.utils.translation import ngettext

from .. import exceptions
from ..engine.alias import get_alias
from ..engine.rollup_rows import name_error, read_mapping
from ..exceptions import DurableError
from ..models import Rollup, Run
from .permits import may_view
from .render import find_page

HOURS: Final = 24
HINTS: Final = {
    each.code: each.hint
    for each in (getattr(exceptions, name) for name in exceptions.__all__)
    if issubclass(each, DurableError) and each.hint
}


def split_fix(code: str, message: str) -> tuple[str, str]:
    """Return the message without the remedy that ends it, and the remedy, which only errors of ours have."""
    hint = HINTS.get(code, "")
    return (message.removesuffix(hint).rstrip(), hint) if hint else (message, "")


def count_seen(using: str, workflow: str, stored: str, now: datetime) -> int:
    """Return how many runs of the workflow failed with this error in the last day, by the figures of its hours."""
    rows = Rollup.objects.using(using).filter(workflow=workflow, span=60, at__lte=now)
    begin = now - timedelta(hours=HOURS)
    line = name_error(stored)
    counted = rows.filter(at__gt=begin).values_list("errors", flat=True)
    return sum(read_mapping(text).get(line, 0) for text in counted)


def tell_seen(
    site: AdminSite, request: HttpRequest, run: Run, stored: str, now: datetime
) -> dict[str, Any] | None:
    """Return how often the error was seen and where these runs are listed; None if this was the only time."""
    if not may_view(request, Run):
        return None
    count = count_seen(get_alias(), run.workflow, stored, now)
    if count < 2:
        return None
    name = name_error(stored).partition(":")[0]
    query = urlencode({"status": "failed", "created": "24h", "workflow": run.workflow, "error": name})
    text = ngettext("Seen %d time in 24 h", "Seen %d times in 24 h", count) % count
    return {"text": text, "url": f"{find_page(site, 'run_changelist')}?{query}"}
