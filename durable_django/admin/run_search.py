"""What the search box of the list of runs takes: ids, keys, and exact values of the input."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ..engine.redact import redact
from ..models import Event
from ..store.base import is_postgres
from ..store.payload_search import HasValue
from .permits import may_see_payloads

PREFIX: Final = "input."
LAST: Final = "\U0010ffff"
"""No character comes after it."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A term as it was understood; ``path`` is set for a value of the input."""

    text: str
    id: UUID | None = None
    beginning: bool = False
    path: tuple[str, ...] = ()
    value: Any = None


def read_search(term: str) -> Search | None:
    """Return what is searched for, or None for nothing.

    ``input.customer.id=42`` finds a number, ``input.name="42"`` and ``input.name=Ann`` a text; a key that
    ends with an asterisk stands for all that begin so.
    """
    term = term.strip()
    if not term:
        return None
    left, equals, right = term.partition("=")
    if equals and left.startswith(PREFIX):
        path = tuple(left.strip().removeprefix(PREFIX).split("."))
        if all(path):
            return Search(text=term, path=path, value=_read_value(right.strip()))
    if term.endswith("*") and len(term) > 1:
        return Search(text=term[:-1], beginning=True)
    try:
        return Search(text=term, id=UUID(term))
    except ValueError:
        return Search(text=term)


def check_search(request: HttpRequest, search: Search | None) -> str:
    """Return why this user may not search for that, or nothing.

    What REDACT masks cannot be searched for by anybody: who can ask for a value has soon found it.
    """
    if search is None or not search.path:
        return ""
    if not may_see_payloads(request):
        return _("To search in payloads you need the permission “Can view payloads”.")
    masked = [key for key in search.path if redact({key: None}) != {key: None}]
    return _("“%s” is masked: it cannot be searched for.") % masked[0] if masked else ""


def choose_runs(using: str, search: Search) -> Q:
    """Return the condition that runs meet which are searched for."""
    if search.path:
        events = Event.objects.using(using).filter(HasValue("data", search.path, search.value))
        return Q(event_id__in=events.values("pk"))
    if search.beginning:
        if is_postgres(using):
            return Q(key__startswith=search.text, key__gt="")
        # SQLite's LIKE takes capitals for small letters, and no index answers it.
        return Q(key__gte=search.text, key__lt=search.text + LAST, key__gt="")
    wanted = Q(key=search.text, key__gt="")
    return wanted if search.id is None else wanted | Q(pk=search.id) | Q(event_id=search.id)


def _read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
