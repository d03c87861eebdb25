"""Whether any worker lives: a list in which nothing moves must not look like one in which nothing happens."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ..clock import Now, read_time
from ..conf import settings
from ..engine.alias import get_alias
from ..engine.diagnose import ALIVE_SECONDS, TICK
from ..engine.words import say_length
from ..models import Worker
from .permits import may_view
from .render import find_page


def tell_lifeless(site: AdminSite, request: HttpRequest) -> dict[str, str] | None:
    """Return what is said if no worker lives, and where more is told; in one query."""
    if settings.DISPATCHER == "inline":
        return None
    try:
        row: Any = (
            Worker.objects.using(get_alias())
            .exclude(name=TICK)
            .annotate(now=Now())
            .order_by("-seen_at")
            .first()
        )
    except DatabaseError:  # the list itself says what is wrong
        return None
    age = None if row is None else (read_time(row.now) - read_time(row.seen_at)).total_seconds()
    if age is not None and age <= ALIVE_SECONDS:
        return None
    seen = (
        _("No worker has ever reported.")
        if age is None
        else _("The last one was seen %s ago.") % say_length(age)
    )
    url = find_page(site, "worker_changelist") if may_view(request, Worker) else ""
    return {"text": _("No worker is alive, so nothing here moves."), "seen": seen, "url": url}
