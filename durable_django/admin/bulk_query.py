"""From the address of a list to the filter of a bulk operation: ages become instants, nothing is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext as _

from ..exceptions import BulkInvalid
from .run_filters import DEFAULT_RANGE, RANGES, read_instant
from .run_search import read_search
from .wait_filters import AGES, ENDS

PAGING: Final = ("older", "newer", "place", "e", "p", "action", "next")
SAME: Final = ("workflow", "queue", "version", "error", "attempts")
Given = Mapping[str, str]


def read_run_query(request: HttpRequest, now: datetime) -> dict[str, Any]:
    """Return the filter that chooses what the list of runs shows at this address.

    Raises:
        BulkInvalid: The address has a filter that bulk operations do not know.
    """
    given = _read_given(request)
    chosen: dict[str, Any] = {name: given.pop(name) for name in SAME if name in given}
    renamed = {"event": "waits_for", "origin": "origin"}
    chosen |= {to: given.pop(name) for name, to in renamed.items() if name in given}
    chosen |= {
        to: True for name, to in {"top": "top_level", "children": "children"}.items() if given.pop(name, "")
    }
    chosen |= {name: True for name in ("begun", "fresh") if given.pop(name, "")}
    if "status" in given:
        chosen["status"] = [code for code in given.pop("status").split(",") if code]
    searching = "q" in given
    if searching:
        chosen |= _read_search(given.pop("q"))
    chosen |= _read_range(request, given, now, DEFAULT_RANGE if not searching else "all")
    return _finish(given, chosen)


def read_wait_query(request: HttpRequest, now: datetime) -> dict[str, Any]:
    """Return the filter that chooses what the list of waits shows at this address; see ``read_run_query``."""
    given = _read_given(request)
    chosen: dict[str, Any] = {}
    if given.get("status") == "open":
        del given["status"]
    if "workflow" in given:
        chosen["workflow"] = given.pop("workflow")
    if given.get("kind") in ("event", "signal"):
        chosen["kind"] = given.pop("kind")
    if (ends := given.get("ends")) in ENDS:
        del given["ends"]
        chosen["ends_before"] = now + (ENDS[str(ends)][1] or timedelta())
    if (age := given.get("age")) in AGES:
        del given["age"]
        chosen["until"] = now - AGES[str(age)][1]
    if "q" in given:
        chosen |= _read_wait_term(given.pop("q"))
    return _finish(given, chosen or {"until": now})


READERS: Final[dict[str, Callable[[HttpRequest, datetime], dict[str, Any]]]] = {
    "run": read_run_query,
    "wait": read_wait_query,
}


def _read_given(request: HttpRequest) -> dict[str, str]:
    given = {name: str(value).strip() for name, value in request.GET.items()}
    return {name: value for name, value in given.items() if name not in PAGING and value}


def _read_search(term: str) -> dict[str, Any]:
    search = read_search(term)
    if search is None or search.path or search.beginning:
        reason = _("the search “%s” cannot be used, since no index answers it") % term[:60]
        raise BulkInvalid(reason=reason)
    if search.id is None:
        return {"key": search.text}
    return {"found": str(search.id)}


def _read_wait_term(term: str) -> dict[str, Any]:
    try:
        return {"run_id": str(UUID(term))}
    except ValueError:
        return {"name": term}


def _read_range(request: HttpRequest, given: dict[str, str], now: datetime, usual: str) -> dict[str, Any]:
    begin, end = read_instant(request, "from"), read_instant(request, "until")
    for name in ("from", "until"):
        if name in given and (begin if name == "from" else end) is None:
            raise BulkInvalid(reason=_("“%s” is no instant") % given[name][:60])
        given.pop(name, None)
    code = given.pop("created", usual)
    if begin or end:
        return {name: moment for name, moment in {"since": begin, "until": end}.items() if moment}
    length = RANGES[code if code in RANGES else usual][1]
    return {"until": now} if length is None else {"since": now - length}


def _finish(given: Given, chosen: dict[str, Any]) -> dict[str, Any]:
    if given:
        raise BulkInvalid(reason=_("the filter “%s” cannot be used in bulk operations") % min(given)[:60])
    return chosen
