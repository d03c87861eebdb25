"""Marks that let a form act once.

Note [A form acts once]
    Each form carries a mark that its page left in the session; the POST takes it away. So a double click,
    or a reload of the answer, starts one run and not two.
"""

from __future__ import annotations

import secrets
from typing import Final

from django.http import HttpRequest

FIELD: Final = "mark"
MARKS: Final = "durable_forms"
OPEN_FORMS: Final = 20


def leave_mark(request: HttpRequest) -> str:
    """Return the mark for a form; one that is shown again, since it was not valid, keeps its own."""
    marks, mark = list(request.session.get(MARKS, [])), request.POST.get(FIELD, "")
    if mark in marks:
        return mark
    mark = secrets.token_urlsafe(9)
    request.session[MARKS] = [*marks, mark][-OPEN_FORMS:]
    return mark


def take_mark(request: HttpRequest) -> bool:
    """Tell whether the form that was sent has not been sent before."""
    marks, mark = list(request.session.get(MARKS, [])), request.POST.get(FIELD, "")
    if mark not in marks:
        return False
    marks.remove(mark)
    request.session[MARKS] = marks
    return True
