"""Descriptions of exceptions are bounded, storable, and never raise."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_django.engine.codec import encode
from durable_django.engine.describe_error import describe
from durable_django.exceptions import InvalidDuration, NonRetriableError, StepError, Unserializable

BIG = 50_000_000


def catch(fail: Callable[[], Any]) -> BaseException:
    try:
        fail()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def check_bounds(described: dict[str, str]) -> None:
    assert set(described) == {"name", "message", "stack", "code"}
    assert len(described["name"].encode()) <= 200
    assert len(described["message"].encode()) <= 8 * 1024
    assert len(described["stack"].encode()) <= 64 * 1024
    assert not any("\x00" in text for text in described.values())


def divide() -> None:
    1 / 0  # noqa: B018


def test_name_message_and_stack() -> None:
    """The class, what it says and where it was raised are told; only our errors have a code."""
    described = describe(catch(divide))
    assert described["name"] == "ZeroDivisionError"
    assert described["message"] == "division by zero"
    assert described["code"] == ""
    assert "in divide" in described["stack"]
    assert described["stack"].endswith("ZeroDivisionError: division by zero\n")


def test_code_and_hint_of_our_errors() -> None:
    """A coded error gives its code once, and its remedy in the message."""
    described = describe(InvalidDuration(value="x", reason="because"))
    assert described["code"] == "duration_invalid"
    assert described["message"].startswith("'x' is not a usable duration: because. Write '30s'")
    assert describe(NonRetriableError("gone"))["message"] == "gone"
    assert describe(StepError("gone", name="ValueError"))["message"] == "ValueError: gone"


def test_qualified_name_of_nested_classes() -> None:
    """The name is the qualified class name."""

    class Local(Exception):
        """A class inside a function."""

    assert describe(Local())["name"].endswith("<locals>.Local")
    assert describe(Local())["message"] == ""


class Items(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise LookupError("from user code")


def test_our_frames_are_dropped_from_the_middle() -> None:
    """Frames of this package between the user's are left out, library frames stay."""
    stack = describe(catch(lambda: encode([Items(a=1)])))["stack"]
    assert "in items" in stack
    assert "codec" not in stack.replace("test_codec", "")
    assert "decoder.py" in describe(catch(lambda: __import__("json").loads("{")))["stack"]


def test_our_frame_stays_where_it_raised() -> None:
    """An error that this package raised shows the place, and nothing else of ours."""
    stack = describe(catch(lambda: encode([object()])))["stack"]
    assert stack.count("durable_django/engine") == 1
    assert Unserializable.code not in stack.splitlines()[0]


def hostile(**members: Any) -> BaseException:
    return type("Hostile", (Exception,), members)("argument")


def throw(*_: Any) -> Any:
    raise RuntimeError("hostile")


@pytest.mark.parametrize(
    "members",
    [
        {"__str__": throw},
        {"__str__": throw, "__repr__": throw},
        {"__str__": lambda self: 5},
        {"__cause__": property(throw)},
        {"__context__": property(throw)},
        {"__suppress_context__": property(throw)},
        {"__traceback__": property(throw)},
        {"__notes__": property(throw)},
        {"__notes__": 5},
        {"__notes__": [5, "a note", type("S", (str,), {"__getitem__": throw, "__len__": throw})("b note")]},
        {"__getattribute__": throw},
        {"__reduce__": throw},
        {"__hash__": throw, "__eq__": throw},
        {"__class__": property(throw)},
        {"__str__": lambda self: type("S", (str,), {"__getitem__": throw, "encode": throw})("sly")},
        {"__str__": lambda self: str(self)},
    ],
    ids=lambda members: "-".join(members),
)
def test_hostile_exceptions_are_described(members: dict[str, Any]) -> None:
    """Whatever special members do, there is a bounded description with the class's name."""
    described = describe(hostile(**members))
    check_bounds(described)
    assert described["name"] == "Hostile"
    assert described["message"]
    assert "Hostile" in described["stack"]


def test_argument_with_failing_repr() -> None:
    """Arguments that cannot be shown do no harm."""
    described = describe(KeyError(type("Odd", (), {"__repr__": throw})()))
    check_bounds(described)
    assert described["message"] == "(the message could not be read)"


def test_subclass_that_skips_our_init() -> None:
    """A subclass of ours without message is described by its arguments."""

    class CardDeclined(NonRetriableError):
        def __init__(self, card: str) -> None:
            self.card = card

    described = describe(CardDeclined("4242"))
    assert (described["message"], described["code"]) == ("4242", "non_retriable")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x" * BIG),
        ValueError("\x00" * BIG),
        ValueError("😀" * (BIG // 4)),
        NonRetriableError("x" * BIG),
        ExceptionGroup("x" * BIG, [ValueError("y" * BIG)]),
        type("N" * BIG, (Exception,), {})("x"),
    ],
    ids=["ascii", "nul", "emoji", "ours", "group", "name"],
)
def test_50_mb_messages_are_quick(error: BaseException) -> None:
    """A message of 50 MB is cut without being copied about."""
    started = time.thread_time()
    described = describe(error)
    assert time.thread_time() - started < 1
    check_bounds(described)


def chain(length: int, *, suppress: bool) -> BaseException:
    newest = ValueError("oldest")
    for number in range(length):
        newer = ValueError(f"error {number}")
        newer.__cause__ = newest if suppress else None
        newer.__suppress_context__ = suppress
        newer.__context__ = newest
        newest = newer
    return newest


@pytest.mark.parametrize("suppress", [True, False])
def test_chains_of_causes_are_bounded(suppress: bool) -> None:
    """The newest errors of an endless chain are shown, oldest first, and the cut is told."""
    stack = describe(chain(20_000, suppress=suppress))["stack"]
    assert stack.endswith("ValueError: error 19999\n")
    assert "left out" in stack
    assert stack.count("ValueError") == 11
    assert stack.index("error 19998") < stack.index("error 19999")


def test_short_chain_is_whole_and_cycles_end() -> None:
    """A short chain is shown whole; `from None` hides; a cycle of causes ends."""
    assert describe(chain(2, suppress=True))["stack"].count("direct cause") == 2
    hidden = ValueError("shown")
    hidden.__context__, hidden.__suppress_context__ = KeyError("hidden"), True
    assert "hidden" not in describe(hidden)["stack"]
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert describe(first)["stack"].count("ValueError") == 2


def test_groups_show_members_within_bounds() -> None:
    """Members of a group are shown with their stacks; wide, deep and branching groups are cut."""
    stack = describe(ExceptionGroup("both", [ValueError("one"), catch(divide)]))["stack"]
    assert "+-- 1 of 2 --" in stack
    assert "  | ValueError: one" in stack
    assert "in divide" in stack
    wide: Exception = ExceptionGroup("wide", [ValueError(str(n)) for n in range(1_000)])
    assert "990 more left out" in describe(wide)["stack"]
    for _ in range(2_000):
        wide = ExceptionGroup("deep", [wide] * 10)
    check_bounds(describe(wide))


def test_deep_recursion_keeps_both_ends() -> None:
    """A stack of a thousand frames keeps its start, its end and the number left out."""

    def recurse(depth: int) -> None:
        (recurse if depth else divide)(*([depth - 1] if depth else []))

    stack = describe(catch(lambda: recurse(500)))["stack"]
    assert "frames left out" in stack
    assert "in divide" in stack
    assert "in catch" in stack


def test_long_stack_keeps_its_end() -> None:
    """A stack over 64 KB loses its middle, never the last error."""
    members = []
    for number in range(10):
        error = ValueError(f"member {number}")
        for note in range(10):
            error.add_note(f"{note}" + "ä" * 2_000)
        members.append(error)
    described = describe(ExceptionGroup("group", members))
    check_bounds(described)
    assert "[… left out …]" in described["stack"]
    assert "member 9" in described["stack"]
    assert described["stack"].startswith("ExceptionGroup: group")


@given(st.text(st.characters(exclude_categories=[]), max_size=50))
def test_any_message_is_storable(message: str) -> None:
    """NUL and lone surrogates are replaced, everything else stays."""
    described = describe(ValueError(message))
    described["stack"].encode()
    expected = "".join("\ufffd" if c == "\x00" or "\ud800" <= c <= "\udfff" else c for c in message)
    assert described["message"] == expected
