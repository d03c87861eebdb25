"""Arrays that the store writes as text are read by the server as the values that went in."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_django.store.arrays import write_array, write_columns

TEXTS = st.one_of(st.none(), st.text(st.characters(blacklist_characters="\x00", blacklist_categories=["Cs"])))
AWKWARD = ["", "NULL", "null", "{}", '"', "\\", "a,b", " ", '\\\\"{,}', "'; DROP", "%s", "é\n\t", None]


class Colour(enum.StrEnum):
    RED = "red"


def read_back(kind: str, values: list[Any]) -> list[Any]:
    with connections["postgres"].cursor() as cursor:
        cursor.execute(f"SELECT %s::{kind}[]", [write_array(kind, values)])
        return list(cursor.fetchone()[0])


pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)


@given(values=st.lists(TEXTS))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back(store: Any, values: list[str | None]) -> None:
    """Whatever text a step's id or result is, the server reads that text."""
    assert read_back("text", values) == values


def test_awkward_texts_come_back(store: Any) -> None:
    """What means something in the syntax of arrays is text like any other."""
    assert read_back("text", AWKWARD) == AWKWARD
    assert read_back("text", [Colour.RED]) == ["red"]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [0, -(2**63), 2**63 - 1, None]),
        ("float8", [0.1, -1e300, 5e-324, None]),
        ("uuid", [UUID(int=0), UUID(int=2**128 - 1), None]),
        ("timestamptz", [datetime(2026, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC), None]),
    ],
)
def test_other_types_come_back(store: Any, kind: str, values: list[Any]) -> None:
    """Numbers, ids and instants come back exactly."""
    assert read_back(kind, values) == values


def test_no_rows_are_empty_columns(store: Any) -> None:
    """Without rows every column is an empty array."""
    assert write_columns(("text", "bigint"), []) == ["{}", "{}"]


def test_a_nul_is_refused_before_it_could_part_a_text(store: Any) -> None:
    """A text that the server could not keep is an error, not two texts."""
    with pytest.raises(ValueError, match="NUL"):
        write_array("text", ["a\x00b", "c"])
