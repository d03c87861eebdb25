"""Expressions: what they mean, and that no text and no event can hurt."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from durable_django.engine.cel_evaluate import BUDGET
from durable_django.engine.cel_scan import MAX_LENGTH, Refused, scan
from durable_django.engine.expressions import Outcome, compile_expression, evaluate_value
from durable_django.exceptions import InvalidExpression

CODES = {
    "",
    "bad_argument",
    "bad_index",
    "bad_pattern",
    "budget",
    "division_by_zero",
    "not_bool",
    "overflow",
    "too_deep",
    "too_large",
    "type_mismatch",
    "unsupported_value",
}
EVENT: dict[str, Any] = {
    "id": "e1",
    "name": "shop/order",
    "ts": 1_700_000_000_000,
    "data": {
        "nothing": None,
        "yes": True,
        "no": False,
        "ten": 10,
        "ten_f": 10.0,
        "half": 0.5,
        "big": 9007199254740993,
        "huge": 2**63,
        "text": "Straße 1",
        "mail": "A@B.C",
        "digits": "42",
        "tags": ["a", "b", None, 3],
        "empty": [],
        "map": {"k": 1, "user-id": "u1", "true": 2, "n": None},
        "items": [{"sku": "x", "qty": 1}, {"sku": "y", "qty": 3}],
        "at": "2024-03-01T12:00:00Z",
        "b64": "aMOp",
        "json": '{"a": [1, 2.5, null]}',
    },
}
INCOMING: dict[str, Any] = {
    "id": "e2",
    "name": "shop/paid",
    "data": {"ten": 10, "nothing": None, "text": "x", "yes": True, "map": {"k": 1.0}},
}


def decide(source: str, event: Any = EVENT, incoming: Any = INCOMING) -> Outcome:
    return compile_expression(source, allow_async=True).evaluate(event, incoming)


def refusal(source: str, *, allow_async: bool = True) -> InvalidExpression:
    with pytest.raises(InvalidExpression) as caught:
        compile_expression(source, allow_async=allow_async)
    return caught.value


# --- D1: a missing field --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("event.data.gone == null", True),
        ("null == event.data.gone", True),
        ("event.data.gone != null", False),
        ("event.data.nothing == null", True),
        ("event.data.ten != null", True),
        ("event.data.map != null && event.data.tags != null", True),
        ("event.data.gone == 'x'", False),
        ("event.data.gone != 'x'", True),
        ("event.data.gone == false", False),
        ("event.data.gone == 0", False),
        ("event.data.gone == ''", False),
        ("event.data.gone.deeper.still == null", True),
        ("event.data.text.below == null", True),
        ("event.data.tags.below == null", True),
        ("event.data.nothing.below == null", True),
        ("event.data.gone in ['x']", False),
        ("event.data.gone in [null]", False),
        ("event.data.nothing in [null]", True),
        ("'x' in event.data.gone", False),
        ("'x' in event.data.nothing", False),
        ("event.data.gone.contains('x')", False),
        ("event.data.gone.startsWith('')", False),
        ("event.data.gone.endsWith('')", False),
        ("event.data.gone.matches('.*')", False),
        ("event.data.text.contains(event.data.gone)", False),
        ("size(event.data.gone) == 0", True),
        ("event.data.nothing.size() == 0", True),
        # equality of two fields is never satisfied by absence
        ("event.data.gone == async.data.gone", False),
        ("event.data.gone != async.data.gone", True),
        ("event.data.gone == async.data.nothing", False),
        ("event.data.nothing == async.data.gone", False),
        ("event.data.nothing == async.data.nothing", True),
        ("[event.data.gone] == [async.data.gone]", False),
        ("[event.data.nothing] == [async.data.nothing]", True),
        ("async.data.gone in [event.data.gone]", False),
        ("event.data.gone.lowerAscii() == async.data.gone.lowerAscii()", False),
        ("'id-' + event.data.gone == 'id-' + async.data.gone", False),
        ("event.data.gone + 1 == async.data.gone + 1", False),
        # an ordering with a missing or null side is false, both ways round
        ("event.data.gone < 5", False),
        ("event.data.gone >= 5", False),
        ("5 < event.data.gone", False),
        ("event.data.nothing <= 0", False),
        ("event.data.gone <= event.data.gone", False),
        ("!(event.data.gone < 5)", True),
        # what is computed from nothing is nothing
        ("event.data.gone + 1 == null", True),
        ("int(event.data.gone) == null", True),
        ("timestamp(event.data.gone) < timestamp('2024-01-01T00:00:00Z')", False),
        ("event.data.gone[0] == null", True),
        ("event.data.empty[0] == null", True),
        ("event.data.tags[event.data.gone] == null", True),
        # absence satisfies no macro
        ("event.data.gone.exists(i, true)", False),
        ("event.data.gone.all(i, true)", False),
        ("event.data.gone.exists_one(i, true)", False),
        ("event.data.gone.filter(i, true) == []", True),
        ("event.data.items.exists(i, i.gone == null)", True),
        ("event.data.items.exists(i, i.gone == 'x')", False),
        ("has(event.data.gone)", False),
        ("has(event.data.gone.deeper)", False),
        ("has(event.data.nothing)", True),
        ("has(event.data.map.k) && !has(event.data.map.z)", True),
    ],
)
def test_a_missing_field_is_null_and_never_an_error(source: str, expected: bool) -> None:
    """Absence behaves as decided in D1, whatever the operator."""
    assert decide(source) == Outcome(expected)


def test_a_missing_async_event_is_a_missing_field() -> None:
    """Without an incoming event every field of `async` is missing."""
    assert decide("async.data.x == null", incoming=None) == Outcome(True)
    assert decide("async.data.x == event.data.x", incoming=None) == Outcome(False)


# --- D3: only a bool is a truth -------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "event.data.ten",
        "event.data.text",
        "event.data.gone",
        "event.data.nothing",
        "!event.data.ten",
        "!event.data.gone",
        "event.data.ten && true",
        "event.data.text || false",
        "event.data.ten ? true : true",
        "event.data.tags.exists(i, i)",
        "event.data.items.filter(i, i.qty) == []",
        "1",
        "[true]",
    ],
)
def test_nothing_but_a_bool_is_a_truth(source: str) -> None:
    """A value of another type where a truth belongs is an error, and an error never matches."""
    assert decide(source) == Outcome(False, "not_bool")


@pytest.mark.parametrize(
    "source", ["1", "'x'", "event.data.a + 1", "[true]", "size('x')", "null", "-event.ts"]
)
def test_a_condition_that_is_never_a_bool_is_refused(source: str) -> None:
    """What can never be a truth is refused as a condition but may be a key."""
    with pytest.raises(InvalidExpression, match="true or false"):
        compile_expression(source, allow_async=False, condition=True)
    assert compile_expression(source, allow_async=False).source == source


@pytest.mark.parametrize(
    "source", ["event.data.a", "bool('true')", "json_parse('true')", "true ? false : true"]
)
def test_a_condition_that_may_be_a_bool_is_accepted(source: str) -> None:
    """Fields may hold a bool, so they are accepted as conditions."""
    assert compile_expression(source, allow_async=False, condition=True).source == source


# --- the specification ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("event.data.ten == event.data.ten_f", True),
        ("event.data.ten == 10.0 && 10 == event.data.ten_f", True),
        ("[1, 2.0] == [1.0, 2]", True),
        ("{'a': 1} == {'a': 1.0}", True),
        ("{'a': 1} == {'a': 1, 'b': null}", False),
        ("event.data.map == {'k': 1}", False),
        ("event.data.big == 9007199254740993", True),
        ("event.data.big == 9007199254740992.0", False),
        ("event.data.huge == 9223372036854775808.0", True),
        ("event.data.half < 1 && 1 > event.data.half", True),
        ("1 < 1.5 && 1.5 > 1 && 1 <= 1.0 && 1 >= 1.0", True),
        ("event.data.digits == 42", False),
        ("'x' != 1", True),
        ("event.data.yes == 1", False),
        ("1 == event.data.yes", False),
        ("true in [1]", False),
        ("'z' in [1, 2]", False),
        ("1.0 in [1, 2]", True),
        ("'k' in event.data.map && !('z' in event.data.map)", True),
        ("3 in event.data.tags", True),
        ("'a' < 'b' && 'B' < 'a' && false < true", True),
        ("7 / 2 == 3 && -7 / 2 == -3 && -7 % 3 == -1 && 7 % -3 == 1", True),
        ("7.0 / 2 == 3.5", True),
        ("1.0 / 0.0 > 1e300", True),
        ("'a' + 'b' == 'ab' && [1] + [2] == [1, 2]", True),
        ("2 * 3 - 1 == 5 && 2 + 3 * 4 == 14 && -(-2) == 2", True),
        ("event.data.tags[0] == 'a' && event.data.items[1].sku == 'y'", True),
        ("event.data.map['user-id'] == 'u1' && event.data.map['true'] == 2", True),
        ("event['data']['ten'] == 10", True),
        ("'it\\'s' == \"it's\" && '\\u00e9\\x41\\101\\n' == 'éAA\\n'", True),
        ("r'\\n' == '\\\\n' && '''a\nb''' == 'a\\nb'", True),
        ("'😀'.size() == 1", True),
        ("event.data.text.contains('ß') && event.data.text.startsWith('S')", True),
        ("event.data.mail.matches('^[^@]+@[^@]+$')", True),
        ("matches(event.data.text, '^traße')", False),
        ("event.data.yes ? event.data.no : true", False),
        ("false && event.data.text || true", True),
        ("event.data.items.exists(i, i.sku == 'y' && i.qty > 1)", True),
        ("event.data.items.all(i, i.qty >= 1)", True),
        ("event.data.items.exists_one(i, i.qty == 3)", True),
        ("event.data.items.map(i, i.qty) == [1, 3]", True),
        ("event.data.items.filter(i, i.qty > 1).map(i, i.sku) == ['y']", True),
        ("event.data.map.exists(k, k == 'user-id')", True),
        ("[1, 2].exists(i, [2, 3].exists(j, i == j))", True),
        ("[1, 2].all(i, [3].map(i, i) == [3] && i < 3)", True),
        ("event.data.empty.all(i, false) && !event.data.empty.exists(i, true)", True),
        ("int('42') == 42 && int(2.9) == 2 && int(-2.9) == -2 && double('2.5') == 2.5", True),
        ("string(10) == '10' && string(2.5) == '2.5' && string(1.0) == '1' && string(true) == 'true'", True),
        ("bool('true') && !bool('false')", True),
    ],
)
def test_operators_follow_the_specification(source: str, expected: bool) -> None:
    """Numbers compare by value, other types never equal, containers compare deeply."""
    assert decide(source) == Outcome(expected)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("'a' < 1", "type_mismatch"),
        ("event.data.yes < 1", "type_mismatch"),
        ("'x' in 'xyz'", "type_mismatch"),
        ("true + true == 2", "type_mismatch"),
        ("'%s' % 'x' == 'x'", "type_mismatch"),
        ("'a' * 3 == 'aaa'", "type_mismatch"),
        ("event.data.ten.contains('1')", "type_mismatch"),
        ("event.data.text.contains(1)", "type_mismatch"),
        ("size(1) == 1", "type_mismatch"),
        ("[1, 2][-1] == 2", "bad_index"),
        ("[1, 2][true] == 2", "bad_index"),
        ("[1, 2][0.5] == 2", "bad_index"),
        ("9223372036854775807 + 1 > 0", "overflow"),
        ("-9223372036854775807 - 2 < 0", "overflow"),
        ("9223372036854775807 * 2 > 0", "overflow"),
        ("-(-9223372036854775807 - 1) > 0", "overflow"),
        ("1 / 0 == 1", "division_by_zero"),
        ("1 % 0 == 1", "division_by_zero"),
        ("int(1e300) == 1", "overflow"),
        ("int(1.0 / 0.0) == 1", "bad_argument"),
        ("int('x') == 1", "bad_argument"),
        ("event.data.text.exists(i, true)", "type_mismatch"),
        ("event.data.items.map(i, i.sku + 1) == []", "type_mismatch"),
        ("event.data.items.exists_one(i, i.sku < 1)", "type_mismatch"),
        ("'a'.matches(event.data.text + '(')", "bad_pattern"),
    ],
)
def test_a_type_error_is_a_short_code(source: str, code: str) -> None:
    """What has no meaning ends as a code, and never matches."""
    assert decide(source) == Outcome(False, code)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 / 0 == 1 || true", Outcome(True)),
        ("true || 1 / 0 == 1", Outcome(True)),
        ("1 / 0 == 1 && false", Outcome(False)),
        ("false && 1 / 0 == 1", Outcome(False)),
        ("1 / 0 == 1 || false", Outcome(False, "division_by_zero")),
        ("1 / 0 == 1 && true", Outcome(False, "division_by_zero")),
        ("!(1 / 0 == 1)", Outcome(False, "division_by_zero")),
        ("[0, 1].exists(i, 1 / i == 1)", Outcome(True)),
        ("[0, 1].all(i, 1 / i == 2)", Outcome(False)),
        ("[0, 1].exists(i, 1 / i == 2)", Outcome(False, "division_by_zero")),
        ("[0, 1].all(i, 1 / i == 1)", Outcome(False, "division_by_zero")),
        ("[0, 1].map(i, 1 / i) == [] || true", Outcome(True)),
        ("[0, 1].filter(i, 1 / i == 1) == [] || true", Outcome(True)),
        ("event.data.ten.exists(i, true) || true", Outcome(True)),
    ],
)
def test_logic_is_three_valued(source: str, expected: Outcome) -> None:
    """An error is forgiven exactly where the other side decides the matter alone."""
    assert decide(source) == expected


# --- D4: functions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "event.data.mail.lowerAscii() == 'a@b.c' && lowercase(event.data.mail) == 'a@b.c'",
        "'äB'.lowerAscii() == 'äb' && 'ÄB'.lowerAscii() == 'Äb'",
        "'äb'.upperAscii() == 'äB' && uppercase('ß') == 'ß'",
        "b64decode(event.data.b64) == 'hé' && event.data.b64.b64decode() == 'hé'",
        "json_parse(event.data.json).a[1] == 2.5 && json_parse(event.data.json).a[2] == null",
        "date(event.data.at) == timestamp('2024-03-01T13:00:00+01:00')",
        "timestamp(0) == timestamp('1970-01-01T00:00:00Z')",
        "date(event.data.at) + duration('1h30m') > date(event.data.at)",
        "date(event.data.at) - date('2024-03-01T11:00:00Z') == duration('60m')",
        "duration('1h') - duration('90m') == duration('-30m') && -duration('1s') < duration('0')",
        "string(duration('1.5h')) == '5400s' && string(date(event.data.at)) == '2024-03-01T12:00:00Z'",
        "int(timestamp('1970-01-01T00:01:00Z')) == 60",
    ],
)
def test_extra_functions(source: str) -> None:
    """The functions beyond the standard set do what their names say."""
    assert decide(source) == Outcome(True)


@pytest.mark.parametrize(
    "source",
    [
        "timestamp('2024') == timestamp(0)",
        "timestamp('12:00') == timestamp(0)",
        "timestamp('2024-13-01T00:00:00Z') == timestamp(0)",
        "timestamp('0001-01-01T00:00:00+23:00') == timestamp(0)",
        "timestamp(9223372036854775807) == timestamp(0)",
        "duration('1 day') == duration('1s')",
        "duration('') == duration('1s')",
        "duration('" + "9" * 70 + "h') == duration('1s')",
        "b64decode('*') == 'x'",
        "b64decode('/w==') == 'x'",
        "json_parse('{') == 1",
        "json_parse('NaN') == 1",
        "json_parse('" + "9" * 1000 + "') == json_parse('[')",
        "double('nan') == 1.0",
    ],
)
def test_conversions_are_strict(source: str) -> None:
    """Text that is not exactly what a conversion asks for is an error, not a guess."""
    assert decide(source) == Outcome(False, "bad_argument")


def test_timestamps_at_the_end_of_time_overflow() -> None:
    """Arithmetic that leaves the calendar is an error."""
    assert decide("timestamp('9999-12-31T00:00:00Z') + duration('48h') > timestamp(0)").error == "overflow"
    assert decide("duration('99999999999999h') > duration('1s')").error == "overflow"


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "column", "reason"),
    [
        ("", 1, "empty"),
        ("   ", 1, "empty"),
        ("invalid", 1, "not known"),
        ("event.data.a == other.b", 17, "not known"),
        ("event.data.a = 1", 14, "grammar"),
        ("event.data.a &&", 16, "grammar"),
        ("event.data.true", 12, "grammar"),
        ("now() > 1", 1, "not available"),
        ("event.data.a.reduce(a, b) == 1", 14, "not available"),
        ("min([1]) == 1", 1, "not available"),
        ("type(1) == int", 1, "not available"),
        ("event.__class__()", 7, "not available"),
        ("event.data.a.int() == 1", 14, "no method"),
        ("contains('a', 'b')", 1, "must be called on"),
        ("event.data.a.contains()", 14, "takes 1"),
        ("size() == 1", 1, "takes 1"),
        ("has(1)", 1, "one field"),
        ("has(event)", 1, "one field"),
        ("has(event.data.l[0])", 1, "one field"),
        ("event.data.l.map(i) == []", 1, "variable"),
        ("event.data.l.map(i.x, 1) == []", 1, "variable"),
        ("event.data.l.map(event, 1) == []", 1, "variable"),
        ("event.data.l.exists(i, true) && i == 1", 33, "not known"),
        ("[1].exists(a, [1].exists(b, [1].exists(c, true)))", 30, "macros"),
        (".event.data.a", 2, "dot"),
        ("event{a: 1} == event", 1, "constructed"),
        ("b'x' == b'x'", 1, "byte"),
        ("1u == 1u", 1, "unsigned"),
        ("9223372036854775808 == 1", 1, "64 bits"),
        ("1e999 == 1.0", 1, "too large"),
        ("'\\q' == 'x'", 1, "escape"),
        ("'\\ud800' == 'x'", 1, "escape"),
        ("{1: 2} == {}", 2, "key"),
        ("{'a': 2, 'a': 3} == {}", 2, "twice"),
        ("true // comment", 6, "comments"),
        ("'a", 1, "does not end"),
        ("'a\nb' == 'x'", 1, "does not end"),
        ("'''a' == 'x'", 1, "does not end"),
        ("'\\'", 1, "does not end"),
        ("r'\\' == 'x'", 3, "backslash"),
        ("(true", 1, "never closed"),
        ("true)", 5, "closes nothing"),
        ("(true]", 6, "closes nothing"),
        ("'a'.matches('(')", 5, "regular expression"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_place(source: str, column: int, reason: str) -> None:
    """A refusal names the column and says why."""
    error = refusal(source)
    assert reason in error.details["reason"]
    assert error.details["column"] == column
    assert error.details["source"] == source


def test_async_exists_only_where_it_is_allowed() -> None:
    """A trigger's expression cannot read the event of a wait."""
    assert "`async` exists only" in refusal("async.data.a == 1", allow_async=False).details["reason"]


def test_what_is_not_text_is_refused() -> None:
    """A value that is not text is refused like any other invalid expression."""
    for source in (None, 1, b"true", ["true"]):
        assert refusal(source).code == "expression_invalid"  # type: ignore[arg-type]


# --- bombs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "'" + "\\n" * 40,
        "'" + "\\n" * 900,
        '"' + "\\\\" * 40 + "\\",
        "event.data.a == '" + "\\a" * 24,
        "r'" + "\\n" * 40,
        "b'" + "\\n" * 40,
        "'''" + "\\n" * 40 + "''",
        "(" * 10_000,
        "(" * 25 + "true" + ")" * 25,
        "[" * 25 + "]" * 25,
        "!" * 500 + "true",
        "-" * 9 + "1 == 1",
        "- " * 9 + "1 == 1",
        "+".join(["1"] * 2_000),
        "&&".join(["true"] * 1_000),
        "a" * (MAX_LENGTH + 1),
        "1+" * 401 + "1",
    ],
)
def test_bombs_are_stopped_before_the_parser(source: str) -> None:
    """Text that keeps the parser busy is refused by the linear scan, which comes first."""
    with pytest.raises(Refused):
        scan(source)
    refusal(source)


@pytest.mark.parametrize(
    "source",
    [
        "+".join(["1"] * 100) + " == 1",
        "true ? true : " * 90 + "true",
        "||".join(["1==1"] * 195) + "||1==1||1==1||1==1||1==1",
        "event" + ".a" * 399,
    ],
)
def test_trees_are_bounded(source: str) -> None:
    """What gets past the scan is bounded in parts and depth."""
    reason = refusal(source).details["reason"]
    assert "more than" in reason or "deeper than" in reason


LARGE: dict[str, Any] = {
    "data": {
        "l": [{"n": number, "s": "x" * 20} for number in range(5_000)],
        "m": {str(number): number for number in range(5_000)},
        "s": "a" * 200_000,
        "j": "[" * 100_000,
        "strings": ["a" * 1_000 + str(number) for number in range(200)],
        "patterns": [f"(a{{{number}}}b|c*d){{9}}.*.*[^x]{{50,90}}" for number in range(40)],
    }
}


@pytest.mark.parametrize(
    "source",
    [
        "event.data.l.map(x, event.data.l.map(y, x.n * y.n)) == []",
        "event.data.l.exists(x, event.data.l.exists(y, x.s + 1 == y.s + 1))",
        "event.data.l.map(x, event.data.l.filter(y, true)) == []",
        "event.data.l.map(x, event.data.s + event.data.s) == []",
        "event.data.l.map(x, event.data.l + event.data.l) == []",
        "event.data.l.exists(x, event.data.s.lowerAscii() == '')",
        "event.data.l.exists(x, event.data.s.contains('ab'))",
        "event.data.l.exists(x, b64decode(event.data.s) == '')",
        "event.data.l.exists(x, json_parse(event.data.j) == 1)",
        "event.data.l.exists(x, event.data.l == event.data.l && false)",
        "event.data.l.exists(x, event.data.m == event.data.m && false)",
        "event.data.l.exists(x, {} in event.data.l)",
        "event.data.patterns.exists(p, event.data.strings.exists(s, s.matches(p)))",
        "event.data.l.all(x, event.data.l.all(y, true)) || true",
    ],
)
def test_work_on_a_large_event_ends_by_budget(source: str) -> None:
    """Work that grows with the event is charged, and stops when the budget is used up."""
    assert decide(source, LARGE) == Outcome(False, "budget")


def test_the_budget_is_enough_for_honest_work() -> None:
    """A condition on each of 5,000 items is within the budget."""
    assert decide("event.data.l.exists(i, i.n == 4999 && i.s.startsWith('x'))", LARGE) == Outcome(True)
    assert BUDGET <= 200_000


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("'%0300000000d' % 5 == 'x'", "type_mismatch"),
        ("'%999999999d' % 1 == 'x'", "type_mismatch"),
        ("event.data.s.matches('a+b')", "too_large"),
        ("'a'.matches(event.data.s)", "bad_pattern"),
        ("'a'.matches('((a{1000}){1000}){1000}' + event.data.empty)", ""),
        ("json_parse(event.data.j) == 1", "bad_argument"),
    ],
)
def test_single_bombs_are_errors(source: str, code: str) -> None:
    """One operator cannot be made to allocate or to spin."""
    assert decide(source, LARGE).error == code


def test_text_cannot_be_doubled_without_end() -> None:
    """Doubling a text by nesting stops at a megabyte."""
    doubled = "event.data.s"
    for _ in range(3):
        doubled = f"({doubled} + {doubled})"
    assert decide(f"{doubled} == ''", LARGE) == Outcome(False, "too_large")


def test_deep_events_are_errors_and_not_recursion() -> None:
    """A value nested deeper than any event may be is an error where it is compared."""
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    event = {"data": {"a": deep}}
    assert decide("event.data.a == async.data.a", event, event) == Outcome(False, "too_deep")
    assert evaluate_value(compile_expression("event.data.a", allow_async=False), event).error == ""


# --- totality -------------------------------------------------------------------------------------

FRAGMENTS = st.sampled_from(
    "event async .data .a ['b'] [0] == != < <= > >= in && || ! - + * / % ? : ( ) [ ] { } , ' \" \\ r' ''' "
    "true false null 1 2.5 1e9 0x1F 5u 'x' \"y\" .size() .contains( .exists( i, .map( .all( has( int( "
    "string( timestamp( duration( matches( json_parse( b64decode( // \n \t \x00 é 😀 \ud800".split(" ")
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["2024-01-01T00:00:00Z", "1h", "e30=", "[1]", "(", 2**63, -(2**63), 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abi"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None, database=None)
@given(st.lists(FRAGMENTS, max_size=14).map("".join) | st.text(max_size=40))
@example("'" + "\\n" * 40)
@example("\ud800 == 1")
@example("'\ud800' == event.data.a")
def test_any_text_compiles_or_is_refused(source: str) -> None:
    """No text makes the compiler raise anything but InvalidExpression, or the result raise at all."""
    try:
        expression = compile_expression(source, allow_async=True)
    except InvalidExpression:
        return
    assert expression.evaluate(EVENT, INCOMING).error in CODES


PARTS = st.sampled_from(
    [
        "event.data.a",
        "async.data.a",
        "event.data.b",
        "event.data.a.b",
        "event.data.a[0]",
        "null",
        "1",
        "-2.5",
        "'1h'",
    ]
    + ["true", "[1, 'a']", "{'a': 1}", "event", "event.data", "[]", "9223372036854775807"]
)
SHAPES = st.sampled_from(
    [f"({{0}} {sign} {{1}})" for sign in "== != < <= > >= in && || + - * / %".split()]
    + [f"{name}({{0}})" for name in "size int double string bool timestamp date duration json_parse".split()]
    + [f"{{0}}.{name}({{1}})" for name in "contains startsWith endsWith matches".split()]
    + [f"{{0}}.{name}(i, {{1}})" for name in "all exists exists_one filter map".split()]
    + ["{0}.lowerAscii()", "b64decode({0})", "!{0}", "-({0})", "{0}[{1}]", "({0} ? {1} : {0})", "[{0}, {1}]"]
)
SOURCES = st.recursive(PARTS, lambda inner: st.builds(str.format, SHAPES, inner, inner), max_leaves=6)


@settings(max_examples=600, deadline=None, database=None)
@given(SOURCES, JSON, JSON, JSON)
def test_no_expression_raises_on_any_event(source: str, one: Any, two: Any, three: Any) -> None:
    """Every expression gives true, false or a known code on every event, and holds no data in it."""
    try:
        expression = compile_expression(source, allow_async=True)
    except InvalidExpression:
        return
    event, incoming = {"data": {"a": one, "b": two}}, {"data": {"a": three}}
    outcome = expression.evaluate(event, incoming)
    assert outcome.error in CODES
    assert not (outcome.value and outcome.error)
    assert evaluate_value(expression, event).error in CODES


def test_python_values_count_as_the_json_they_become() -> None:
    """Dates, decimals and identifiers in an event made by Python compare as their JSON text or number."""
    data = {
        "at": datetime(2024, 3, 1, 12, tzinfo=UTC),
        "price": Decimal("12.50"),
        "count": Decimal(3),
        "vast": Decimal("1E+999999"),
        "nan": Decimal("sNaN"),
        "id": UUID(int=1),
        "for": timedelta(minutes=1),
        "pair": (1, 2),
    }
    for source in (
        "timestamp(event.data.at) == timestamp('2024-03-01T12:00:00Z')",
        "event.data.price == 12.5 && event.data.count + 1 == 4",
        "event.data.vast > 1e300 && event.data.nan != event.data.nan",
        "event.data.id == '00000000-0000-0000-0000-000000000001'",
        "duration(event.data['for']) == duration('1m') && event.data.pair == [1, 2]",
    ):
        assert decide(source, {"data": data}) == Outcome(True), source


def test_a_value_that_no_event_can_hold_is_a_code() -> None:
    """An object that JSON has no form for is an error where it is read."""
    assert decide("event.data.a == 1", {"data": {"a": object()}}) == Outcome(False, "unsupported_value")


# --- the interface --------------------------------------------------------------------------------


def test_event_paths_are_the_fields_that_are_read() -> None:
    """Paths are minimal, and an index that is computed asks for the whole container."""
    source = (
        "event.data.a.b == async.data.z && has(event.data.user_id) && event.ts > 1"
        " && event.data.l[0].x == event.data.l.size() && [1].exists(i, i == event.data.a.b.c)"
    )
    expected = (("data", "a", "b"), ("data", "l"), ("data", "user_id"), ("ts",))
    assert compile_expression(source, allow_async=True).event_paths == expected
    assert compile_expression("event == async", allow_async=True).event_paths == ((),)
    assert compile_expression("async.data.a == 1", allow_async=True).event_paths == ()


def test_one_text_is_one_expression() -> None:
    """Compiling the same text again gives the same immutable object."""
    first = compile_expression("event.data.cached == 1", allow_async=True)
    assert compile_expression("event.data.cached == 1", allow_async=True) is first
    with pytest.raises(AttributeError):
        first.source = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("event.data.digits", "42"),
        ("'user-' + event.data.digits", "user-42"),
        ("event.data.ten * 2", 20),
        ("event.data.gone", None),
        ("'user-' + event.data.gone", None),
        ("[event.data.gone, 1]", [None, 1]),
        ("event.data.items.map(i, i.sku)", ["x", "y"]),
        ("date(event.data.at)", "2024-03-01T12:00:00+00:00"),
        ("duration('1m')", "60.0s"),
        ("event.data.yes", True),
    ],
)
def test_values_of_key_expressions_are_json(source: str, value: Any) -> None:
    """A key expression gives a JSON value, and None for what is missing."""
    result = evaluate_value(compile_expression(source, allow_async=False), EVENT)
    assert (result.value, result.error) == (value, "")
    json.dumps(result.value)


def test_errors_of_key_expressions_are_codes() -> None:
    """A key expression that fails gives a code and no value."""
    result = evaluate_value(compile_expression("event.data.text + 1", allow_async=False), EVENT)
    assert (result.value, result.error) == (None, "type_mismatch")


def test_threads_do_not_see_each_other() -> None:
    """One expression, compiled and evaluated by eight threads with different data, mixes nothing up."""
    source = "event.data.l.exists(i, [i].exists(j, j == async.data.me)) && async.data.me == event.data.me"

    def work(me: int) -> int:
        wrong = 0
        for turn in range(150):
            other = compile_expression(
                f"{source} || event.data.me == {-1 - me * 1000 - turn}", allow_async=True
            )
            event = {"data": {"l": list(range(me, me + 5)), "me": me}}
            for expression in (compile_expression(source, allow_async=True), other):
                wrong += expression.evaluate(event, {"data": {"me": me}}) != Outcome(True)
                wrong += expression.evaluate(event, {"data": {"me": me + 1}}) != Outcome(False)
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 0


def test_importing_is_cheap_and_leaves_no_trace() -> None:
    """The parser is imported by the first use, and celpy's own parser and the recursion limit stay."""
    code = (
        "import sys; sys.setrecursionlimit(3333)\n"
        "from durable_django.engine.expressions import compile_expression, load_grammar\n"
        "from durable_django.engine import match\n"
        "assert not {'celpy', 'lark', 're2', 'django.db'} & set(sys.modules)\n"
        "load_grammar(); compile_expression('true', allow_async=False)\n"
        "import celpy.celparser\n"
        "assert celpy.celparser.CELParser.CEL_PARSER is None\n"
        "assert sys.getrecursionlimit() == 3333\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
