"""Decide whether events answer waits, each question once however many waits ask it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

from ..store.base import EventRow
from ..store.resolve import Candidate
from .codec import decode
from .match import matches
from .slice import encode_event, read_event

DECODED = 16
"""Events kept decoded at a time; one may be large."""


class Judge:
    """The decisions of one page of candidates."""

    def __init__(self) -> None:
        self._decided: dict[tuple[UUID, str, str, str], bool] = {}
        self._shown = lru_cache(DECODED)(lambda row: read_event(row).as_dict())
        self._encoded: dict[UUID, str] = {}

    def answers(self, found: Candidate) -> bool:
        """Tell whether the event ends the wait."""
        question = (found.event.id, found.match, found.expression, found.bound)
        if question not in self._decided:
            self._decided[question] = self._decide(found)
        return self._decided[question]

    def encode(self, row: EventRow) -> str:
        """Return the memo of waits that the event ends; one text for all of them."""
        if row.id not in self._encoded:
            self._encoded[row.id] = encode_event(row)
        return self._encoded[row.id]

    def _decide(self, found: Candidate) -> bool:
        if not found.match and not found.expression:
            return True
        bound: Any = decode(found.bound)
        shown = self._shown(found.event)
        return matches(if_exp=found.expression, match=found.match, bound=bound, incoming=shown).value
