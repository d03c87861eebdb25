"""What became of an event, in words: the same on the admin page and in the terminal."""

from __future__ import annotations

import json
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .compare_wait import Read, Unmet
from .explain_event import Explanation, UnmatchedWait

SHOWN: Final = 120
"""Characters of a value."""

_OUTCOMES: Final = {
    "pending": gettext_lazy("It was not routed yet."),
    "used": "",
    "duplicate": gettext_lazy("It is a duplicate: it started nothing and resumed nothing."),
    "nothing": gettext_lazy("It started nothing and resumed nothing."),
}
_WHY: Final = {
    "earlier": gettext_lazy("the event came before the wait"),
    "expired": gettext_lazy("the wait was over when the event came"),
    "own": gettext_lazy("the event started this run"),
    "matches": gettext_lazy("it would end this wait"),
    "unreadable": gettext_lazy("the wait cannot be compared"),
}


def say_outcome(told: Explanation) -> str:
    """Return the sentence above the lists, empty for an event that did something."""
    sentence = str(_OUTCOMES[told.outcome])
    if not told.near:
        return sentence
    near = _("Similar names: %s.") % ", ".join(map(repr, told.near))
    return f"{sentence} {near}".strip()


def say_unmatched(wait: UnmatchedWait) -> str:
    """Return why the event did not end the wait."""
    if wait.why == "condition":
        return "; ".join(map(say_unmet, wait.unmet))
    return f"{_WHY[wait.why]} ({wait.detail})" if wait.detail else str(_WHY[wait.why])


def say_unmet(unmet: Unmet) -> str:
    """Return a comparison with the values that it compared."""
    values = {"text": unmet.text, "code": unmet.error}
    said = _("%(text)s could not be decided (%(code)s)") if unmet.error else _("%(text)s is false")
    read = ", ".join(map(say_read, unmet.reads))
    return f"{said % values}{': ' if read else ''}{read}"


def say_read(read: Read) -> str:
    """Return a field and its value, shortened."""
    if not read.found:
        return _("%s is missing") % read.path
    text = json.dumps(read.value, ensure_ascii=False, default=str)
    return f"{read.path} = {text if len(text) <= SHOWN else text[: SHOWN - 3] + '...'}"
