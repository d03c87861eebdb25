"""What an open wait still asks for: its condition term by term, and the last events that did not meet it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from ..exceptions import DurableError
from ..models import Event, Wait
from . import cel_nodes as nodes
from .cel_evaluate import Scope, build, require_bool
from .cel_nodes import Node
from .cel_text import write
from .codec import decode
from .compare_wait import Unmet
from .explain_event import compare_stored, write_condition
from .expressions import compile_expression, run_bounded

SHOWN: Final = 20
"""Events that are compared, the newest."""


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a condition that must be true; ``verdict`` is None while it depends on the event to come."""

    text: str
    verdict: bool | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class NearMiss:
    """An event of the right name that did not end the wait; ``detail`` is a code if it cannot be compared."""

    event_id: UUID
    received_at: datetime
    unmet: tuple[Unmet, ...]
    detail: str = ""


def judge_terms(wait: Wait) -> list[Term]:
    """Return the terms of the wait's condition, none if any event of its name will do.

    Raises:
        InvalidExpression: The stored condition does not compile any more.
    """
    if wait.match:
        return [Term(write_condition(wait), None)]
    if not wait.expression:
        return []
    bound = decode(wait.bound)
    root = compile_expression(wait.expression, allow_async=True).root
    return [_judge(node, bound) for node in _split(root)]


def _split(node: Node) -> Sequence[Node]:
    if not isinstance(node, nodes.And):
        return [node]
    return [part for item in node.items for part in _split(item)]


def _judge(node: Node, bound: Any) -> Term:
    text = write(node)
    if nodes.reads(node, "async"):
        return Term(text, None)
    value, error = run_bounded(lambda: require_bool(build(node)(Scope(bound, {}))))
    return Term(text, None if error else bool(value), error)


def find_near_misses(using: str, wait: Wait) -> list[NearMiss]:
    """Return the last events of the wait's name that came after it and were not what it asks for."""
    if not wait.event_name:
        return []
    events = Event.objects.using(using).filter(name=wait.event_name, arrival__gt=wait.after)
    if wait.ended_at is not None:
        events = events.filter(created_at__lte=wait.ended_at)
    if wait.event_id is not None:
        events = events.exclude(pk=wait.event_id)
    found = (_compare(wait, event) for event in events.order_by("-arrival")[:SHOWN])
    return [each for each in found if each.unmet or each.detail]


def _compare(wait: Wait, event: Event) -> NearMiss:
    try:
        return NearMiss(event.id, event.created_at, tuple(compare_stored(wait, event)))
    except DurableError as error:
        return NearMiss(event.id, event.created_at, (), error.code)
