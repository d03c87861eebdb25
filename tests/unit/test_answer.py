"""Memos of waiting steps: what hooks change in them, and what the workflow reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable_django.engine.answer import change_parts, read_answer
from durable_django.types import Event

EVENT = {"name": "app/x", "id": "e1", "ts": 5, "data": {"n": 1}}
SIGNAL = {"signal": "go", "data": 2}
SEEN = Event("app/x", {"n": 1}, id="e1", ts=5)

MEMOS: list[tuple[str, Any, Any]] = [
    ("event", EVENT, SEEN),
    ("event", None, None),
    ("signal", SIGNAL, SIGNAL),
    ("signal", None, None),
    ("any", {"branch": 3, "value": {"event": EVENT}}, (3, SEEN)),
    ("any", {"branch": 0, "value": {"signal": SIGNAL}}, (0, SIGNAL)),
    ("any", None, None),
    ("all", [{"event": EVENT}, None, {"signal": SIGNAL}], [SEEN, None, SIGNAL]),
]


@pytest.mark.parametrize(("kind", "memo", "expected"), MEMOS)
def test_a_memo_is_read_by_what_is_in_it(kind: str, memo: Any, expected: Any) -> None:
    """Events come back as Event and signals as mappings, wherever they stand."""
    assert read_answer(kind, json.dumps(memo)) == expected


@pytest.mark.parametrize(("kind", "memo", "expected"), MEMOS)
def test_a_change_reaches_each_event_and_signal(kind: str, memo: Any, expected: Any) -> None:
    """What hooks do is done to each part of a memo, told apart by its kind, and to nothing else."""
    seen: list[tuple[str, Any]] = []

    def note(kind: str, text: str) -> str:
        seen.append((kind, json.loads(text)))
        return text

    assert json.loads(change_parts(kind, json.dumps(memo), note)) == memo
    parts = {"event": [EVENT], "signal": [SIGNAL]}
    for each, values in parts.items():
        found = [value for seen_kind, value in seen if seen_kind == each and value is not None]
        assert found == values * json.dumps(memo).count(json.dumps(values[0]))
