"""What became of an event, in words: the same on the admin page and in the terminal."""

from __future__ import annotations

import json
from typing import Final

from .compare_wait import Read, Unmet
from .explain_event import Explanation, UnmatchedWait

SHOWN: Final = 120
"""Characters of a value."""

_OUTCOMES: Final = {
    "pending": "It was not routed yet.",
    "used": "",
    "duplicate": "It is a duplicate: it started nothing and resumed nothing.",
    "nothing": "It started nothing and resumed nothing.",
}
_WHY: Final = {
    "earlier": "the event came before the wait",
    "expired": "the wait was over when the event came",
    "own": "the event started this run",
    "matches": "it would end this wait",
    "unreadable": "the wait cannot be compared",
}


def say_outcome(told: Explanation) -> str:
    """Return the sentence above the lists, empty for an event that did something."""
    if told.near:
        return f"{_OUTCOMES[told.outcome]} Similar names: {', '.join(map(repr, told.near))}.".strip()
    return _OUTCOMES[told.outcome]


def say_unmatched(wait: UnmatchedWait) -> str:
    """Return why the event did not end the wait."""
    if wait.why == "condition":
        return "; ".join(map(say_unmet, wait.unmet))
    return f"{_WHY[wait.why]} ({wait.detail})" if wait.detail else _WHY[wait.why]


def say_unmet(unmet: Unmet) -> str:
    """Return a comparison with the values that it compared."""
    verdict = f"could not be decided ({unmet.error})" if unmet.error else "is false"
    read = ", ".join(map(say_read, unmet.reads))
    return f"{unmet.text} {verdict}{': ' if read else ''}{read}"


def say_read(read: Read) -> str:
    """Return a field and its value, shortened."""
    if not read.found:
        return f"{read.path} is missing"
    text = json.dumps(read.value, ensure_ascii=False, default=str)
    return f"{read.path} = {text if len(text) <= SHOWN else text[: SHOWN - 3] + '...'}"
