"""Matching: keys find every wait that an event ends, and nothing else ends a wait."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_django.engine.expressions import Outcome, compile_expression, is_never_bool
from durable_django.engine.match import MAX_KEYS, Bound, bind, bind_path, event_keys, matches
from durable_django.engine.match_plan import MAX_CONJUNCTS, plan
from durable_django.exceptions import InvalidExpression, MatchUnbound
from tests.conditions import FIELDS, LITERALS, VALUES, datas, sources

NAME = "shop/paid"
KEY_OF_USER_AND_PLAN = 2074806714327126119
Found = tuple[bool, bool]  # whether a key was found, and whether an exact one was


def bound_to(source: str, event: Any) -> Bound:
    return bind(NAME, compile_expression(source, allow_async=True), event)


def look_up(bound: Bound, incoming: Any, name: str = NAME) -> Found:
    keys = event_keys(name, [conjunct.paths for conjunct in bound.conjuncts], incoming)
    hits = [conjunct for conjunct in bound.conjuncts if keys & set(conjunct.keys)]
    return bool(hits), any(conjunct.exact for conjunct in hits)


def stored(value: Any) -> Any:
    return json.loads(json.dumps(value))


def check_against_brute_force(source: str, event: Any, incoming: Any) -> bool:
    """Compare the indexed answer with plain evaluation, trusting `exact` and not; return the answer."""
    expected = compile_expression(source, allow_async=True).evaluate(event, incoming)
    bound = bound_to(source, event)
    found, exact = look_up(bound, stored(incoming))
    decided = matches(if_exp=source, bound=stored(bound.bound), incoming=stored(incoming))
    assert decided == expected, (source, event, incoming)
    assert (found and decided.value) is expected.value, (source, event, incoming)
    assert not exact or expected.value, (source, event, incoming)
    return expected.value


# --- I2: equality of keys is equality of values ---------------------------------------------------

AWKWARD: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    -0.0,
    0.0,
    1.0,
    0.1,
    0.1 + 0.2,
    0.3,
    2**53,
    2**53 + 1,
    float(2**53),
    2**63 - 1,
    -(2**63),
    2**63,
    2**63 + 1,
    2**64,
    float(2**63),
    1e17,
    10**17,
    1e300,
    int(1e300),
    float("inf"),
    float("nan"),
    "",
    "0",
    "1",
    "true",
    "null",
    "é",
    "e\u0301",
    "a\x00b",
    "n1",
    [],
    [[]],
    [1],
    [1.0],
    [1, "2"],
    ["12"],
    [None],
    [True],
    {},
    {"": None},
    {"a": 1},
    {"a": 1.0},
    {"a": 1, "b": 2},
    {"b": 2, "a": 1},
    {"a": {"b": 2}},
    {"a": None},
]
FORMS = [
    "async.data.v == event.data.v",
    "event.data.v == async.data.v",
    "async.data.v in event.data.l",
    "!(async.data.v != event.data.v)",
    "async.data.m == {'k': event.data.v}",
    "async.data.l == event.data.l",
]


def holder(value: Any) -> dict[str, Any]:
    return {"data": {"v": value, "l": [value], "m": {"k": value}}}


@pytest.mark.parametrize("form", FORMS)
def test_keys_are_equal_exactly_when_values_are(form: str) -> None:
    """For every pair of awkward values, finding by key and comparing give the same answer."""
    expression = compile_expression(form, allow_async=True)
    trues = 0
    bounds = [(one, bind(NAME, expression, holder(one))) for one in AWKWARD]
    for (one, bound), other in itertools.product(bounds, AWKWARD):
        expected = expression.evaluate(holder(one), holder(other)).value
        assert look_up(bound, holder(other))[0] is expected, (one, other)
        assert same(one, other) is expected, (one, other)
        trues += expected
    assert trues > len(AWKWARD)


def same(one: Any, other: Any) -> bool:
    """Say in the plainest way what equality means, as a second opinion."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if is_number(one) and is_number(other):
        return number(one) == number(other)
    return type(one) is type(other) and bool(one == other)


def is_number(value: Any) -> bool:
    return type(value) in (int, float)


def number(value: Any) -> Any:
    return value if isinstance(value, float) or -(2**63) <= value < 2**63 else float(value)


def test_no_two_different_path_sets_or_names_share_a_key() -> None:
    """The name and the path-set are part of the key, each piece by itself."""
    paths = [
        (("a", "b"),),
        (("a.b",),),
        (("a",), ("b",)),
        (("ab",),),
        (("a", "b"), ("c",)),
        (("a", "b", "c"),),
        (),
    ]
    event = {"a": {"b": 1}, "a.b": 1, "b": 1, "ab": 1, "c": 1}
    event["a"]["b"] = {"c": 1}  # type: ignore[index]
    keys = [event_keys(name, [path_set], event) for name in ("n", "n2") for path_set in paths]
    assert all(len(found) == 1 for found in keys)
    assert len(set().union(*keys)) == len(keys)


# --- I1: the index against brute force ------------------------------------------------------------


@settings(max_examples=500, deadline=None, database=None)
@given(sources, st.lists(datas, min_size=1, max_size=3), st.lists(datas, min_size=1, max_size=4))
def test_the_index_agrees_with_brute_force(
    source: str, runs: list[dict[str, Any]], incomings: list[dict[str, Any]]
) -> None:
    """Every wait that evaluation matches is found by key, and what `exact` promises is true."""
    if is_never_bool(compile_expression(source, allow_async=True).root):
        return
    for run, incoming in itertools.product(runs, [*incomings, *runs]):
        check_against_brute_force(source, {"data": run}, {"data": incoming})


def seeded_source(choose: random.Random, depth: int) -> str:
    field = choose.choice(FIELDS)
    if depth == 0 or choose.random() < 0.25:
        return choose.choice(
            [
                f"async.data.{field} == event.data.{field}",
                f"event.data.{field} == async.data.{field}",
                f"!(async.data.{field} != event.data.{field})",
                f"!(async.data.{field} == event.data.{choose.choice(FIELDS)})",
                f"async.data.{field} in [event.data.{field}, event.data.{choose.choice(FIELDS)}, 'x']",
                f"!(async.data.{field} in ['y', event.data.a])",
                f"async.data.{field} == {choose.choice(LITERALS)}",
                f"async.data.{field} != {choose.choice(LITERALS)}",
                f"async.data.{field} == true",
                f"!async.data.{field}",
                f"size(async.data.{field}) <= size(event.data.{field})",
                f"async.data.{field} <= event.data.{field}",
            ]
        )
    one, other, third = (seeded_source(choose, depth - 1) for _ in range(3))
    shape = choose.choice(["({0} && {1})", "({0} || {1})", "({0} && {1})", "!({0})", "({0} ? {1} : {2})"])
    return str(shape.format(one, other, third))


@pytest.mark.parametrize("seed", range(6))
def test_the_index_agrees_where_most_answers_are_true(seed: int) -> None:
    """The same law on events that resemble each other, so that matches are common."""
    choose = random.Random(seed)
    trues = total = 0
    for _ in range(250):
        source = seeded_source(choose, 3)
        run = {field: choose.choice(VALUES) for field in FIELDS if choose.random() < 0.9}
        for _ in range(4):
            incoming = {**run, choose.choice(FIELDS): choose.choice(VALUES)}
            if choose.random() < 0.3:
                incoming.pop(choose.choice(FIELDS), None)
            trues += check_against_brute_force(source, {"data": run}, {"data": incoming})
            total += 1
    assert trues > total // 5


# --- what is indexed ------------------------------------------------------------------------------

RUN = {"data": {"id": "u1", "ids": ["u1", "u2"], "no": None, "yes": True, "m": {"p": 1, "q": 2}}}
ID, PLAN, PAID = ("data", "id"), ("data", "plan"), ("data", "paid")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("async.data.id == event.data.id", [((ID,), 1, True)]),
        ("event.data.id == async.data.id", [((ID,), 1, True)]),
        ("!(async.data.id != event.data.id)", [((ID,), 1, True)]),
        ("async.data['id'] == event.data.id", [((ID,), 1, True)]),
        ("async.data.id == event.data.id && async.data.plan == 'pro'", [((ID, PLAN), 1, True)]),
        ("async.data.plan == 'pro' && async.data.id == event.data.id", [((ID, PLAN), 1, True)]),
        ("async.data.id in event.data.ids", [((ID,), 2, True)]),
        ("async.data.id in event.data.m", [((ID,), 2, True)]),
        ("async.data.id in ['u1', 'u1']", [((ID,), 1, True)]),
        ("async.data.id in event.data.ids && async.data.id == 'u2'", [((ID,), 1, True)]),
        ("async.data.id == 'u1' || async.data.plan == 'pro'", [((ID,), 1, True), ((PLAN,), 1, True)]),
        ("!(async.data.id != 'u1' && async.data.plan != 'pro')", [((ID,), 1, True), ((PLAN,), 1, True)]),
        ("async.data.paid", [((PAID,), 1, True)]),
        ("!async.data.paid", [((PAID,), 1, True)]),
        ("async.data.id == event.data.id && async.data.n > 5", [((ID,), 1, False)]),
        ("event.data.yes && async.data.id == 'u1'", [((ID,), 1, True)]),
        ("event.data.no == null && async.data.id == 'u1'", [((ID,), 1, True)]),
        ("event.data.yes ? async.data.id == 'u1' : async.data.n > 5", [((ID,), 1, True)]),
        ("async.data.id == event.data.no", [((ID,), 1, True)]),
        ("async.data.id == null", [((), 1, False)]),
        ("async.data.id == 'u1' && async.data.error == null", [((ID,), 1, False)]),
        ("async.data.n > 5", [((), 1, False)]),
        ("async.data.id != 'u1'", [((), 1, False)]),
        ("!(async.data.id in ['u1'])", [((), 1, False)]),
        ("async.data.id == async.data.plan", [((), 1, False)]),
        ("event.data.id in async.data.ids", [((), 1, False)]),
        ("async.data.id == 'u1' || async.data.n > 5", [((), 1, False)]),
        ("true", [((), 1, True)]),
        ("event.data.yes", [((), 1, True)]),
        ("event.data.yes || async.data.n > 5", [((), 1, True)]),
        ("false", []),
        ("event.data.id == 'other' && async.data.n > 5", []),
        ("event.data.id + 1 == 2 && async.data.n > 5", []),
        ("async.data.id == event.data.gone", []),
        ("async.data.id == event.data.id + 1", []),
        ("async.data.id == 'u1' && async.data.id == 'u2'", []),
        ("async.data.id in []", []),
        ("async.data.id in event.data.gone", []),
        ("async.data.id in 'u1'", []),
    ],
)
def test_what_an_expression_is_indexed_by(source: str, expected: list[tuple[Any, int, bool]]) -> None:
    """Equalities become keys, the rest a residual, and what cannot be true no key at all."""
    bound = bound_to(source, RUN)
    found = [(conjunct.paths, len(conjunct.keys), conjunct.exact) for conjunct in bound.conjuncts]
    assert found == expected
    assert bound.never is (not expected)


def test_a_field_that_is_null_is_found_but_not_one_that_is_missing() -> None:
    """The key of null is met by an explicit null only, as equality is."""
    bound = bound_to("async.data.id == event.data.no", RUN)
    assert look_up(bound, {"data": {"id": None}}) == (True, True)
    assert look_up(bound, {"data": {}}) == (False, False)
    for source in ("async.data.id == [1][5]", "[1][5] == async.data.id", "async.data.id in [[1][5]]"):
        assert not check_against_brute_force(source, RUN, {"data": {"id": None}})
        assert not check_against_brute_force(source, RUN, {"data": {}})


def test_alternatives_are_at_most_sixteen() -> None:
    """An expression whose normal form explodes stays correct and keeps the equalities around it."""
    choices = " && ".join(f"(async.data.a{n} == 1 || async.data.b{n} == 1)" for n in range(6))
    source = f"async.data.id == event.data.id && ({choices})"
    alternatives = plan(compile_expression(source, allow_async=True))
    assert 1 < len(alternatives) <= MAX_CONJUNCTS
    assert all(ID in {equality.path for equality in one.equalities} for one in alternatives)
    run, enough = {"data": {"id": "u1"}}, {"id": "u1", **{f"a{n}": 1 for n in range(6)}}
    assert check_against_brute_force(source, run, {"data": enough})
    for field in enough:
        assert not check_against_brute_force(source, run, {"data": {**enough, field: 2}})


def test_too_many_alternatives_become_one_residual() -> None:
    """A disjunction of more than sixteen parts is decided on every event of the name."""
    many = " || ".join(f"async.data.a == {n}" for n in range(17))
    assert len(plan(compile_expression(many, allow_async=True))) == 1
    assert [check_against_brute_force(many, {}, {"data": {"a": n}}) for n in (0, 16, 17)] == [
        True,
        True,
        False,
    ]


def test_the_widest_alternatives_are_dropped_first() -> None:
    """A conjunct has at most 64 keys; what is dropped is decided on the candidates."""
    source = "async.data.id in event.data.wide && async.data.plan in event.data.narrow"
    run = {"data": {"wide": list(range(40)), "narrow": ["a", "b"]}}
    (conjunct,) = bound_to(source, run).conjuncts
    assert (conjunct.paths, len(conjunct.keys), conjunct.exact) == ((PLAN,), 2, False)
    assert check_against_brute_force(source, run, {"data": {"id": 7, "plan": "b"}})
    assert not check_against_brute_force(source, run, {"data": {"id": 40, "plan": "b"}})
    full = {"data": {"wide": list(range(32)), "narrow": ["a", "b"]}}
    (conjunct,) = bound_to(source, full).conjuncts
    assert (len(conjunct.keys), conjunct.exact) == (MAX_KEYS, True)


def test_keys_are_signed_64_bit_numbers_that_never_change() -> None:
    """Keys are stored, so the same wait has the same key in every process and version."""
    (conjunct,) = bound_to("async.data.id == event.data.id && async.data.plan == 'pro'", RUN).conjuncts
    assert conjunct.keys == (KEY_OF_USER_AND_PLAN,)
    wide = bound_to("async.data.id in event.data.l", {"data": {"l": list(range(64))}}).conjuncts[0].keys
    assert all(-(2**63) <= key < 2**63 for key in wide)
    assert min(wide) < 0 < max(wide)


def test_keys_of_an_event_come_from_whole_path_sets() -> None:
    """A path-set of which one path is missing gives no key; the empty one always does."""
    both, fallback = (ID, PLAN), ()
    assert event_keys(NAME, [both], {"data": {"id": "u1"}}) == set()
    assert len(event_keys(NAME, [both, fallback], {"data": {"id": "u1"}})) == 1
    assert len(event_keys(NAME, [both, fallback], {"data": {"id": "u1", "plan": None}})) == 2
    assert event_keys(NAME, [], {"data": {}}) == set()


def test_path_sets_may_come_back_from_json() -> None:
    """Lists in place of tuples give the same keys."""
    event = {"data": {"id": "u1", "plan": "pro"}}
    assert event_keys(NAME, json.loads(json.dumps([(ID, PLAN)])), event) == event_keys(
        NAME, [(ID, PLAN)], event
    )


def test_only_what_is_read_is_bound() -> None:
    """The wait keeps the fields that its expression reads and nothing else of the run's event."""
    event = {"id": "e", "data": {"a": {"b": 1, "secret": 2}, "l": [1], "none": None, "x": 9}}
    source = (
        "async.data.b == event.data.a.b && event.data.l[0] == 1 && has(event.data.none) && !has(event.data.z)"
    )
    bound = bound_to(source, event)
    assert bound.bound == {"data": {"a": {"b": 1}, "l": [1], "none": None}}
    assert matches(if_exp=source, bound=bound.bound, incoming={"data": {"b": 1}}) == Outcome(True)
    assert bound_to("async.data == event.data", event).bound == {"data": event["data"]}
    assert bound_to("async == event", event).bound == event


def test_a_wait_for_another_name_has_other_keys() -> None:
    """The event's name is part of every key, the fallback's too."""
    for source in ("async.data.id == event.data.id", "true"):
        bound = bound_to(source, RUN)
        assert look_up(bound, RUN)[0]
        assert not look_up(bound, RUN, name="shop/other")[0]


def test_an_expression_that_is_never_a_bool_is_not_bound() -> None:
    """A wait on a number would never end, so it is refused."""
    with pytest.raises(InvalidExpression, match="true or false"):
        bound_to("event.data.n + 1", RUN)


# --- match="data.userId" --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["data.id", "data.user-id", "data.true", "data.class", "data.a.0", "data.ü'\"\\"]
)
def test_match_compares_the_same_path_in_both_events(path: str) -> None:
    """Any key may be a part of the path, also one that no expression could name."""
    event: Any = "u1"
    for piece in reversed(path.split(".")):
        event = {piece: event}
    bound = bind_path(NAME, path, event)
    assert look_up(bound, event) == (True, True)
    assert matches(match=path, bound=stored(bound.bound), incoming=event) == Outcome(True)
    other = json.loads(json.dumps(event).replace('"u1"', '"u2"'))
    assert look_up(bound, other) == (False, False)
    assert matches(match=path, bound=stored(bound.bound), incoming=other) == Outcome(False)
    assert matches(match=path, bound=stored(bound.bound), incoming={"data": {}}) == Outcome(False)


@pytest.mark.parametrize("data", [{}, {"id": None}, {"other": 1}, None, []])
def test_match_without_a_value_in_the_trigger_is_refused(data: Any) -> None:
    """D2: a missing or null trigger side is an error that names path and step."""
    with pytest.raises(MatchUnbound) as caught:
        bind_path(NAME, "data.id", {"data": data}, step="paid")
    assert caught.value.details == {"path": "data.id", "step": "paid"}


def test_match_agrees_with_equality() -> None:
    """`match` decides as `event.x == async.x` does, by key and on the candidate."""
    for one, other in itertools.product(AWKWARD[1:], AWKWARD):
        bound = bind_path(NAME, "data.v", holder(one))
        decided = matches(match="data.v", bound=bound.bound, incoming=holder(other))
        assert decided == Outcome(same(one, other)), (one, other)
        assert look_up(bound, holder(other))[0] is decided.value, (one, other)


@pytest.mark.parametrize("path", ["", ".", "data.", ".id", "data..id"])
def test_a_match_path_has_no_empty_part(path: str) -> None:
    """A path with an empty part is refused when bound, and a code when met later."""
    with pytest.raises(InvalidExpression):
        bind_path(NAME, path, RUN)
    if path:
        assert matches(match=path, bound={}, incoming={}) == Outcome(False, "expression_invalid")


# --- deciding -------------------------------------------------------------------------------------


def test_a_wait_without_condition_takes_every_event() -> None:
    """Neither an expression nor a path means: any event of the name."""
    assert matches(bound={}, incoming={"data": {}}) == Outcome(True)


def test_a_broken_expression_is_a_code() -> None:
    """An expression that no longer compiles stops neither the others nor the matcher."""
    assert matches(if_exp="((", bound={}, incoming={}) == Outcome(False, "expression_invalid")


def test_events_that_nest_too_deeply_have_no_key() -> None:
    """A value too deep to be compared is not found either."""
    deep: Any = 1
    for _ in range(3_000):
        deep = {"d": deep}
    event = {"data": {"id": deep}}
    assert bound_to("async.data.id == event.data.id", event).never
    assert bind_path(NAME, "data.id", event).never
    assert event_keys(NAME, [(ID,)], event) == set()
    assert matches(match="data.id", bound=event, incoming=event) == Outcome(False, "too_deep")


def test_values_that_no_event_can_hold_are_not_found() -> None:
    """An object without a JSON form gives no key and no exception."""
    event = {"data": {"id": object(), "l": [object()], "k": {1: 2}}}
    assert event_keys(NAME, [(ID,), (("data", "l"),), (("data", "k"),)], event) == set()
    assert bound_to("async.data.id == event.data.id", event).never
