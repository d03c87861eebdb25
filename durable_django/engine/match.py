"""Which waits an event can end: keys that both sides compute, and the decision on what the keys find.

A wait is stored under the keys of its equalities, an event looks its own keys up. Keys only narrow the
search: `matches` decides each candidate, so a collision of hashes does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Final

from ..exceptions import InvalidExpression, MatchUnbound
from .cel_canonical import canonical, hash_key
from .cel_evaluate import Code, Scope
from .cel_nodes import Paths
from .cel_values import MISSING, Fault, Meter, equal, follow
from .expressions import Expression, Outcome, compile_expression, is_never_bool, run_bounded
from .match_paths import follow_safely, prune, split_path
from .match_plan import Alternative, Equality, plan

MAX_KEYS: Final = 64  # per conjunct
COMPARISON_BUDGET: Final = 200_000

Event = Mapping[str, Any]
Sets = dict[tuple[str, ...], set[bytes]]


@dataclass(frozen=True, slots=True)
class Conjunct:
    """Keys over one set of paths of the incoming event; the empty set is the fallback, seen by every event.

    ``exact`` says that an event with such a key matches for certain, hash collisions apart.
    """

    paths: Paths
    keys: tuple[int, ...]
    exact: bool


@dataclass(frozen=True, slots=True)
class Bound:
    """A wait's condition tied to its run: the keys to store, and what of the run's event is read later."""

    conjuncts: tuple[Conjunct, ...]
    bound: dict[str, Any]

    @property
    def never(self) -> bool:
        """Tell that no event can match, so that only the time-out is left."""
        return not self.conjuncts


def bind(name: str, expression: Expression, event: Event) -> Bound:
    """Return the keys and the bound values of a wait with an expression.

    Args:
        name: the name of the event that is waited for.
        expression: compiled with ``allow_async=True``.
        event: the event that started the run.

    Raises:
        InvalidExpression: the expression can never be true or false.
    """
    if is_never_bool(expression.root):
        raise InvalidExpression(
            source=expression.source, column=1, reason="a condition must be true or false"
        )
    found = [_bind_alternative(name, alternative, event) for alternative in plan(expression)]
    conjuncts = _merge([conjunct for conjunct in found if conjunct is not None])
    return Bound(conjuncts, prune(event, expression.event_paths))


def bind_path(name: str, path: str, event: Event, *, step: str = "") -> Bound:
    """Return the keys and the bound values of a wait with ``match="data.userId"``.

    Args:
        name: the name of the event that is waited for.
        path: the keys that lead to the value in both events, joined by dots.
        event: the event that started the run.
        step: the id of the waiting step, for the error.

    Raises:
        MatchUnbound: the run's event has no value there.
        InvalidExpression: the path has an empty part.
    """
    pieces = split_path(path)
    value = follow_safely(event, pieces)
    if value is None or value is MISSING:
        raise MatchUnbound(path=path, step=step)
    values = _canonical_or_none(value)
    paths = (pieces,)
    conjuncts = () if values is None else (Conjunct(paths, (hash_key(name, paths, (values,)),), True),)
    return Bound(conjuncts, prune(event, paths))


def event_keys(name: str, path_sets: Iterable[Paths], event: Event) -> set[int]:
    """Return the keys under which waits for this event may be stored.

    Args:
        name: the event's name.
        path_sets: the path-sets that waits for this name are stored with.
        event: the incoming event.
    """
    known: dict[tuple[str, ...], bytes | None] = {}
    keys = set()
    for path_set in (tuple(tuple(path) for path in paths) for paths in path_sets):
        for path in path_set:
            if path not in known:
                known[path] = _canonical_or_none(follow_safely(event, path))
        values = tuple(value for path in path_set if (value := known[path]) is not None)
        if len(values) == len(path_set):
            keys.add(hash_key(name, path_set, values))
    return keys


def matches(*, if_exp: str = "", match: str = "", bound: Event, incoming: Event) -> Outcome:
    """Decide whether an event ends a wait; never raises, and never holds event data.

    Args:
        if_exp: the wait's expression; empty when it has none.
        match: the wait's path; empty when it has none. With neither, every event matches.
        bound: ``Bound.bound`` of the wait.
        incoming: the event that arrived.
    """
    try:
        expression = compile_expression(if_exp, allow_async=True) if if_exp else None
        pieces = split_path(match) if match else ()
    except InvalidExpression as error:
        return Outcome(False, error.code)
    if expression is not None:
        return expression.evaluate(bound, incoming)
    return _match_path(pieces, bound, incoming) if pieces else Outcome(True)


def _match_path(pieces: tuple[str, ...], bound: Event, incoming: Event) -> Outcome:
    def decide() -> bool:
        return equal(Meter(COMPARISON_BUDGET), follow(bound, pieces), follow(incoming, pieces))

    value, error = run_bounded(decide)
    return Outcome(value is True, error)


def _bind_alternative(name: str, alternative: Alternative, event: Event) -> Conjunct | None:
    if not all(_compute(known.code, event) is known.wanted for known in alternative.known):
        return None
    sets: Sets = {}
    exact = alternative.exact
    for equality in alternative.equalities:
        values = _values(equality, event)
        if values is None:
            exact = False
        else:
            sets[equality.path] = sets.get(equality.path, values) & values
    if not all(sets.values()):
        return None
    return _conjunct(name, sets, exact)


def _conjunct(name: str, sets: Sets, exact: bool) -> Conjunct:
    while prod(len(values) for values in sets.values()) > MAX_KEYS:
        del sets[max(sets, key=lambda path: (len(sets[path]), path))]
        exact = False
    paths = tuple(sorted(sets))
    keys = {hash_key(name, paths, values) for values in product(*(sets[path] for path in paths))}
    return Conjunct(paths, tuple(sorted(keys)), exact)


def _values(equality: Equality, event: Event) -> set[bytes] | None:
    """Return the canonical values that satisfy an equality; None when they cannot be listed."""
    value = _compute(equality.code, event)
    if not equality.many:
        return None if value is None and equality.written else _canonical_set([value])
    if isinstance(value, dict):
        return _canonical_set(value)
    return _canonical_set(value) if isinstance(value, list) else set()


def _canonical_set(values: Iterable[Any]) -> set[bytes]:
    found = (_canonical_or_none(value) for value in values)
    return {value for value in found if value is not None}


def _canonical_or_none(value: Any) -> bytes | None:
    try:
        return canonical(value)
    except Fault:
        return None


def _compute(code: Code, event: Event) -> Any:
    value, error = run_bounded(lambda: code(Scope(event, None)))
    return MISSING if error else value


def _merge(conjuncts: list[Conjunct]) -> tuple[Conjunct, ...]:
    # Every event of the name sees a fallback row, so other rows of the same wait would find nothing new.
    fallback = [conjunct for conjunct in conjuncts if not conjunct.paths]
    if fallback:
        return (max(fallback, key=lambda conjunct: conjunct.exact),)
    return tuple(dict.fromkeys(conjuncts))
