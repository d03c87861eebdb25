"""End the waits that events answer, a whole batch of events in a few statements.

Note [A wait takes the first arrival that matches]
    The waits of a batch come in pages, in order of their ids; each is offered the events of the batch in
    order of arrival and takes the first that matches, so the result is that of routing one by one. Waits
    that end a step together with others are ended after the last page, in order of arrival.

Note [A page is announced when it is committed]
    Workers go on with the runs of one page while the next is looked at; a nudge needs nothing but the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from ..conf import settings
from ..store.base import EventRow
from ..store.branch import BranchEnd, end_branches
from ..store.find_asked import Asked, find_asked, read_path_sets
from ..store.resolve import Candidate, Hit, end_waits
from .judge import Judge
from .match import event_keys
from .nudge import Nudge, send_nudges
from .slice import read_event

PAGE = 1_000
"""Waits looked at in one statement."""
PAIRS = 100_000
"""Pairs of a wait and an event that a page may hold."""
BATCH = 500
"""Events looked for in one statement."""

Arrived = Mapping[int, EventRow]


def answer_waits(using: str, arrived: Arrived) -> int:
    """End the waits that stored events answer, then mark the events as routed; nudge the runs woken.

    Args:
        arrived: The events by arrival number.

    Returns:
        How many runs were woken.
    """
    order = sorted(arrived)
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    return sum(_answer(using, {arrival: arrived[arrival] for arrival in batch}) for batch in batches)


def _answer(using: str, arrived: Arrived) -> int:
    woken = 0
    shared: list[Candidate] = []
    hits: list[Hit] = []
    for page in _find_pages(using, _read_keys(using, arrived.values()), len(arrived)):
        if hits:
            woken += _announce(_end(using, hits, []))
        judge = Judge()
        found = [first for asked in page if (first := _take_first(asked, arrived, judge)) is not None]
        shared += [each for each in found if each.mode]
        _cancel(using, found)
        hits = _build_hits(found, judge)
    woken += _announce(_end_shared(using, shared))
    return woken + _announce(_end(using, hits, [row.id for row in arrived.values()]))


def _announce(nudges: list[Nudge]) -> int:
    send_nudges(nudges)
    return len(nudges)


def find_answered(using: str, arrived: Arrived) -> Iterator[Candidate]:
    """Yield the waits that stored events would end, each with the first event that does; none is ended."""
    for page in _find_pages(using, _read_keys(using, arrived.values()), len(arrived)):
        judge = Judge()
        yield from (first for asked in page if (first := _take_first(asked, arrived, judge)) is not None)


def _read_keys(using: str, rows: Iterable[EventRow]) -> dict[UUID, list[int]]:
    # Read for each batch: a cached list could lack the path-set of a wait whose own look is over.
    rows = list(rows)
    sets = read_path_sets(using, sorted({row.name for row in rows}))
    keys = {
        row.id: sorted(event_keys(row.name, sets[row.name], read_event(row).as_dict()))
        for row in rows
        if row.name in sets
    }
    return {event_id: found for event_id, found in keys.items() if found}


def _find_pages(using: str, keys: Mapping[UUID, Sequence[int]], events: int) -> Iterator[list[Asked]]:
    limit = min(PAGE, PAIRS // events)
    above: int | None = 0 if keys else None
    while above is not None:
        page, above = find_asked(using, keys, above=above, limit=limit)
        yield page


def _take_first(asked: Asked, arrived: Arrived, judge: Judge) -> Candidate | None:
    for arrival in asked.arrivals:
        candidate = _pair(asked, arrival, arrived[arrival])
        if judge.answers(candidate):
            return candidate
    return None


def _pair(asked: Asked, arrival: int, event: EventRow) -> Candidate:
    return Candidate(
        wait_id=asked.wait_id,
        run_id=asked.run_id,
        name=asked.name,
        index=asked.index,
        match=asked.match,
        expression=asked.expression,
        bound=asked.bound,
        event=event,
        arrival=arrival,
        mode=asked.mode,
        kind=asked.kind,
    )


def end_answered(using: str, candidates: Sequence[Candidate]) -> list[Nudge]:
    """End the waits that their events answer, each by the first of them; return the runs woken by it."""
    judge = Judge()
    first: dict[int, Candidate] = {}
    for each in candidates:
        if each.wait_id not in first and judge.answers(each):
            first[each.wait_id] = each
    found = list(first.values())
    _cancel(using, found)
    hits = _build_hits(found, judge)
    nudges = _end(using, hits, []) if hits else []
    return nudges + _end_shared(using, [each for each in found if each.mode])


def _cancel(using: str, found: Sequence[Candidate]) -> None:
    rules = [each for each in found if each.kind == "cancel"]
    if rules:
        from .cancel_rule import carry_out  # which ends runs, and ends are routed

        carry_out(using, rules)


def _build_hits(found: Sequence[Candidate], judge: Judge) -> list[Hit]:
    return [
        Hit(each.wait_id, each.run_id, each.name, each.index, each.event.id, judge.encode(each.event))
        for each in found
        if not each.mode and each.kind != "cancel"
    ]


def _end(using: str, hits: Sequence[Hit], routed: Sequence[UUID]) -> list[Nudge]:
    woken = end_waits(using, hits, routed=routed, renudge=settings.RENUDGE_SECONDS)
    return [Nudge(*each) for each in woken]


def _end_shared(using: str, shared: Sequence[Candidate]) -> list[Nudge]:
    if not shared:
        return []
    judge = Judge()
    ordered = sorted(shared, key=lambda each: (each.arrival, each.wait_id))
    ends = [
        BranchEnd(
            wait_id=each.wait_id,
            run_id=each.run_id,
            status="matched",
            output=judge.encode(each.event),
            event_id=each.event.id,
        )
        for each in ordered
    ]
    return [Nudge(*each) for each in end_branches(using, ends, renudge=settings.RENUDGE_SECONDS)]
