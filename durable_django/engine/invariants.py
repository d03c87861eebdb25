"""The oracle: what must hold of the stored data, and what breaks it now.

Each invariant has an id that begins with its number in the documentation (docs/checking-data.md): most
are one SELECT (``store/invariants_*.py``), a few need the code of the project (``invariants_judged.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from django.db import connections

from ..exceptions import UnknownInvariant
from ..store import invariants_events, invariants_runs, invariants_steps, invariants_waits
from ..store.invariant import Ask, Found, Invariant, Severity, TookTooLong, find_rows
from . import invariants_judged
from .invariants_judged import Judged

ROWS: Final = 20
LATE_SECONDS: Final = 60.0
STATEMENT_SECONDS: Final = 30.0


class Named(Protocol):
    """What every invariant has, however it is asked."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def remedy(self) -> str: ...
    @property
    def severity(self) -> Severity: ...
    @property
    def live(self) -> bool: ...
    @property
    def vendor(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that does not hold, or could not be checked: then ``unchecked`` says why.

    ``rows`` are the first of ``count`` rows that break it.
    """

    id: str
    title: str
    severity: Severity
    remedy: str
    count: int = 0
    rows: Sequence[dict[str, Any]] = field(default=())
    unchecked: str = ""


def list_invariants(using: str, *, live: bool = True, only: Iterable[str] = ()) -> list[Named]:
    """Return what can be checked on a database.

    Args:
        live: Leave out what holds only once all work is done.
        only: Ids; a number such as ``I6`` stands for all that begin with it. Empty: all.

    Raises:
        UnknownInvariant: ``only`` has an id that does not exist.
    """
    everything: list[Named] = [
        *(each for room in _ROOMS for each in room),
        *invariants_judged.INVARIANTS,
    ]
    wanted = set(only)
    for name in sorted(wanted):
        if not any(_is_meant(each.id, name) for each in everything):
            known = ", ".join(sorted({each.id.partition("-")[0] for each in everything}, key=_number))
            raise UnknownInvariant(id=name, known=known)
    vendor = connections[using].vendor
    chosen = [
        each
        for each in everything
        if (each.live or not live)
        and each.vendor in ("", vendor)
        and (not wanted or any(_is_meant(each.id, name) for name in wanted))
    ]
    return sorted(chosen, key=lambda each: (_number(each.id), each.id))


def find_violations(
    using: str,
    *,
    live: bool = True,
    only: Iterable[str] = (),
    late: float = LATE_SECONDS,
    rows: int = ROWS,
    seconds: float = STATEMENT_SECONDS,
) -> list[Violation]:
    """Check the stored data; return what is wrong, nothing if all is well. Reads only.

    Args:
        live: The system is at work. False: nothing is left to be done, so that more must hold.
        only: Ids of invariants, see ``list_invariants``.
        late: Seconds for which what is due, or was just received, may be on its way.
        rows: The most rows to return of each violation.
        seconds: The longest that one invariant may take.

    Raises:
        UnknownInvariant: ``only`` has an id that does not exist.
    """
    return list(_find(using, list_invariants(using, live=live, only=only), late, rows, seconds))


def _find(
    using: str, invariants: Iterable[Named], late: float, rows: int, seconds: float
) -> Iterator[Violation]:
    ask = Ask(vendor=connections[using].vendor, late=late)
    for each in invariants:
        named = {"id": each.id, "title": each.title, "severity": each.severity, "remedy": each.remedy}
        try:
            found = _look(using, each, ask, rows, seconds)
        except TookTooLong:
            yield Violation(**named, unchecked=f"it took longer than {seconds:g} s")  # type: ignore[arg-type]
            continue
        if found.count:
            yield Violation(**named, count=found.count, rows=found.rows)  # type: ignore[arg-type]


def _look(using: str, each: Named, ask: Ask, rows: int, seconds: float) -> Found:
    if isinstance(each, Judged):
        return each.find(using, ask, rows)
    assert isinstance(each, Invariant)
    return find_rows(using, each.build(ask), limit=rows, seconds=seconds)


def _is_meant(id: str, name: str) -> bool:
    return id == name or id.partition("-")[0] == name


def _number(id: str) -> int:
    return int(id.partition("-")[0][1:])


_ROOMS: Final[tuple[tuple[Invariant, ...], ...]] = (
    invariants_runs.INVARIANTS,
    invariants_steps.INVARIANTS,
    invariants_waits.INVARIANTS,
    invariants_events.INVARIANTS,
)
