"""Look for stored events that end waits of a run."""

from __future__ import annotations

from uuid import UUID

from ..store.resolve import find_candidates_of_run
from .answer_waits import PAGE, end_answered
from .nudge import Nudge


def look(using: str, run_id: UUID) -> list[Nudge]:
    """End the open waits of a run that stored events answer, first arrivals first; return what was woken."""
    woken: list[Nudge] = []
    above = (0, 0)
    while True:
        page = find_candidates_of_run(using, run_id, above=above, limit=PAGE)
        woken += end_answered(using, page)
        if len(page) < PAGE:
            return woken
        above = (page[-1].arrival, page[-1].wait_id)
