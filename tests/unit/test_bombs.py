"""No expression on any event does more than a bounded amount of work; ``python -m tests.bombs`` times it."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django.engine import cel_evaluate, expressions
from durable_django.engine.expressions import compile_expression
from durable_django.exceptions import InvalidExpression
from tests.bombs import BOMBS, EVENTS


@pytest.mark.parametrize("size", list(EVENTS))
@pytest.mark.parametrize("source", BOMBS, ids=lambda source: source[:40].replace("\\", ""))
def test_bombs_end_within_the_budget(source: str, size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each bomb is refused, or ends as true, false or a code, with its work charged to one bounded budget."""
    meters: list[Any] = []

    class Scope(cel_evaluate.Scope):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            meters.append(self)

    monkeypatch.setattr(expressions, "Scope", Scope)
    try:
        outcome = compile_expression(source, allow_async=True).evaluate(EVENTS[size], EVENTS[size])
    except InvalidExpression:
        return
    assert meters
    assert outcome.value is (outcome.value and not outcome.error)
    assert all(meter.left <= cel_evaluate.BUDGET <= 64_000 for meter in meters)
    if outcome.error != "budget":
        assert all(meter.left >= 0 for meter in meters)
