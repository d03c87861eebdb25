"""The engine's side of matching: what a wait is stored with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..define.waits import EventWait
from ..types import Event
from .cel_canonical import hash_key
from .expressions import compile_expression
from .match import Bound, Conjunct, bind, bind_path


def bind_wait(wait: EventWait, event: Event, *, step: str) -> Bound:
    """Return the keys of a wait and the values of the triggering event that its question reads.

    Raises:
        MatchUnbound: ``match`` names a field that the event lacks.
        InvalidExpression: ``if_exp`` does not compile, or ``match`` is no path.
    """
    if wait.match is not None:
        return bind_path(wait.event, wait.match, event.as_dict(), step=step)
    if wait.if_exp is not None:
        expression = compile_expression(wait.if_exp, allow_async=True, condition=True)
        return bind(wait.event, expression, event.as_dict())
    return Bound((Conjunct((), (hash_key(wait.event, (), ()),), True),), {})


def list_keys(bound: Bound) -> list[int]:
    """Return the keys under which the wait is found."""
    return sorted({key for conjunct in bound.conjuncts for key in conjunct.keys})


def list_path_sets(bound: Bound) -> list[str]:
    """Return the path-sets of the wait as JSON text."""
    return sorted({write_paths(conjunct.paths) for conjunct in bound.conjuncts})


def write_paths(paths: Iterable[Iterable[str]]) -> str:
    """Return a path-set as the JSON text that it is stored as."""
    listed: list[Any] = [list(path) for path in paths]
    return json.dumps(listed)
