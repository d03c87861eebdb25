"""§3: what a step may return, and what comes back."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from typing import Any
from uuid import UUID

from durable_django import StepError
from tests.conformance.case import Span, case
from tests.conformance.stage import Stage
from tests.conformance.traces import echo


@dataclasses.dataclass
class Order:
    id: int
    total: Decimal


VALUES: list[Any] = [
    None,
    True,
    2**200,
    -0.5,
    "text \x00 \ud800 😀",
    {"k": [1, {"x": None}]},
    datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    date(2026, 1, 2),
    clock_time(3, 4, 5, 6),
    timedelta(days=3, microseconds=1),
    Decimal("1.10"),
    UUID(int=7),
]


def make_values() -> list[Any]:
    return VALUES


def held_values(stage: Stage) -> None:
    found = stage.result()
    assert [(type(each), each) for each in found] == [(type(each), each) for each in VALUES]


@case(
    "3",
    "round-trip",
    "round trip of outputs and event data",
    data={"nap": Span("1h")},
    passes="2h",
    holds=held_values,
    sample=True,
)
def round_trip(ctx: Any) -> Any:
    values = yield ctx.step.run("values", make_values)
    echoed = yield ctx.step.send_event(
        "send", {"name": f"{ctx.event.data['place']}/values", "data": {"values": values}}
    )
    assert len(echoed) == 1
    yield ctx.step.sleep("nap", ctx.event.data["nap"])
    return values


@case("3", "tuple", "tuple comes back as list, from the first execution on", result=[[1, [2]], "list"])
def tuples(ctx: Any) -> Any:
    value = yield ctx.step.run("value", echo, (1, (2,)))
    return [value, type(value).__name__]


@case("3", "output-type", "dataclass / pydantic through output_type", result=["Order", Decimal("1.50")])
def output_type(ctx: Any) -> Any:
    order = yield ctx.step.run("order", lambda: Order(1, Decimal("1.50")), output_type=Order)
    return [type(order).__name__, order.total]


def held_unserializable(stage: Stage) -> None:
    code, names_step, message = stage.result()
    assert (code, names_step) == ("output_unserializable", True)
    assert "a[1]" in message or "a.1" in message, message
    assert stage.attempts().count() == 1


@case(
    "3",
    "unserializable",
    "output_unserializable, names step and path of the value, no retry",
    holds=held_unserializable,
)
def unserializable(ctx: Any) -> Any:
    try:
        yield ctx.step.run("odd one", lambda: {"a": [1, object()]})
    except StepError as error:
        return [error.error_code, "step 'odd one'" in error.message, error.message]


def number(kind: str) -> float:
    return {"nan": math.nan, "inf": math.inf}[kind]


def play_numbers(stage: Stage) -> None:
    for kind in ("nan", "inf"):
        assert stage.result(stage.start(kind=kind)) in ("output_unserializable", kind)


@case(
    "3",
    "nan",
    "NaN, Infinity: refused with the path, or stored faithfully, never a database error",
    play=play_numbers,
)
def odd_number(ctx: Any) -> Any:
    try:
        return str((yield ctx.step.run("number", number, ctx.event.data["kind"])))
    except StepError as error:
        return error.error_code


@case(
    "3",
    "too-large",
    "too large: output_too_large; 4 MB a step output",
    result=["output_too_large", 4 * 1024 * 1024 - 2],
)
def too_large(ctx: Any) -> Any:
    fits = yield ctx.step.run("fits", lambda: "x" * (4 * 1024 * 1024 - 2))
    try:
        yield ctx.step.run("big", lambda: "x" * (4 * 1024 * 1024 - 1))
    except StepError as error:
        return [error.error_code, len(fits)]
