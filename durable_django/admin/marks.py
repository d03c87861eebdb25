"""Marks that let a form act once.

Note [A form acts once]
    Each form carries a mark of its own, and the POST stores it under a unique constraint before anything is
    done. So of a double click, a reload of the answer or a form that was sent from two tabs, one acts: also
    if both requests are under way at once. Nothing is stored for a form that is only looked at; ``prune``
    deletes the rows.
"""

from __future__ import annotations

import re
import secrets
from typing import Any, Final

from django.http import HttpRequest

from ..engine.alias import get_alias
from ..models import WebhookDelivery

FIELD: Final = "mark"
SOURCE: Final = "console form"
"""No webhook source is called so, since its name is part of an address."""
_MARK: Final = re.compile(r"[\w-]{12,64}\Z", re.ASCII)


def leave_mark(request: HttpRequest) -> str:
    """Return the mark for a form; one that is shown again, since it was not valid, keeps its own."""
    mark = request.POST.get(FIELD, "")
    if _MARK.match(mark) and not _find(mark).exists():
        return mark
    return secrets.token_urlsafe(12)


def take_mark(request: HttpRequest) -> bool:
    """Tell whether the form that was sent has not been sent before, and remember it."""
    mark = request.POST.get(FIELD, "")
    if not _MARK.match(mark):
        return False
    forms = WebhookDelivery.objects.using(get_alias())
    return forms.get_or_create(source=SOURCE, delivery=mark)[1]


def _find(mark: str) -> Any:
    return WebhookDelivery.objects.using(get_alias()).filter(source=SOURCE, delivery=mark)
