"""Values without a stored form are coded errors that say where the value sits, and are not retried."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django.exceptions import DurableError, RunFailed
from durable_django.models import Event, Step


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"b": object()}]}, "$.a[1].b"),
        ({"a": float("nan")}, "$.a"),
        ({1: 2}, "$"),
        ([{1, 2}], "$[0]"),
    ],
)
@pytest.mark.parametrize("place", ["step", "atomic", "run"])
def test_what_cannot_be_stored_names_its_path(declare: Any, value: Any, path: str, place: str) -> None:
    """A result without a stored form is a coded error that names step and path, and is not retried."""

    @declare()
    def odd(ctx: Any) -> Any:
        if place == "run":
            return value
        yield ctx.step.run("odd", lambda: value, atomic=place == "atomic")

    with pytest.raises(RunFailed) as caught:
        odd.start().result(0)
    told = caught.value.details["told"]
    assert told["code"] == "output_unserializable"
    assert path in told["message"]
    assert ("step 'odd'" if place != "run" else "workflow 'odd'") in told["message"]
    assert Step.objects.filter(status="completed").count() == 0


def test_a_value_that_holds_itself_is_refused(declare: Any) -> None:
    """A recursive object is a coded error, not a crash."""

    @declare()
    def recursive(ctx: Any) -> Any:
        value: list[Any] = []
        value.append(value)
        yield ctx.step.run("loop", lambda: value)

    with pytest.raises(RunFailed) as caught:
        recursive.start().result(0)
    assert caught.value.details["told"]["code"] == "output_unserializable"


def test_start_refuses_what_an_event_could_not_hold(declare: Any) -> None:
    """start() raises a coded error for data that has no stored form, and starts nothing."""

    @declare()
    def never(ctx: Any) -> Any:
        return 1

    with pytest.raises(DurableError) as caught:
        never.start({"x": object()})
    assert caught.value.code == "output_unserializable"
    assert Event.objects.count() == 0
