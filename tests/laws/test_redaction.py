"""Redaction: configured fields are masked where payloads are shown, never where workflows read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_django.engine.describe_error import describe
from durable_django.engine.redact import MASK, WITHHELD, redact, redact_text
from durable_django.models import Attempt, RunResult, Step
from durable_django.testing import drain
from tests.plugins.store import Store

Declare = Callable[..., Any]
Configure = Callable[..., None]
CANARY = "canary3391"


def test_fields_are_masked_at_any_depth_whatever_their_spelling() -> None:
    """Upper and lower case, dashes, underscores and camelCase make no difference; other fields stay."""
    given = [{"Password": 1, "API-Key": 2, "apiKey": 3, "in": ({"set_cookie": [1, 2]}, 4)}, "password"]
    masked = [
        {"Password": MASK, "API-Key": MASK, "apiKey": MASK, "in": ({"set_cookie": MASK}, 4)},
        "password",
    ]
    assert redact(given) == masked


def test_a_star_stands_for_anything(configure: Configure) -> None:
    """Names may be patterns; without a star a longer name is another name."""
    configure(REDACT=["card*"])
    assert redact({"card_number": 1, "discard": 2, "password": 3}) == {
        "card_number": MASK,
        "discard": 2,
        "password": 3,
    }


def test_the_value_that_was_given_is_left_alone() -> None:
    """Masking makes a copy."""
    value = {"token": {"a": 1}}
    assert redact(value) == {"token": MASK}
    assert value == {"token": {"a": 1}}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"login failed password={CANARY}, next", f"login failed password={MASK}, next"),
        (f'{{"password": "{CANARY} \\" b", "x": 1}}', f'{{"password": {MASK}, "x": 1}}'),
        (f"{{'API_KEY': '{CANARY}'}}", f"{{'API_KEY': {MASK}}}"),
        (f"Authorization: Bearer {CANARY}.x!z", f"Authorization: {MASK}"),
        (f"https://example.com/?token={CANARY}&y=1", f"https://example.com/?token={MASK}&y=1"),
        ("KeyError: 'token'", "KeyError: 'token'"),
        ("the password is wrong", "the password is wrong"),
        ("user_password_hint=blue", "user_password_hint=blue"),
    ],
)
def test_in_text_what_follows_a_name_is_masked(text: str, shown: str) -> None:
    """Messages and tracebacks are text: name, then = or :, then the value up to its end."""
    assert redact_text(text) == shown


@given(st.text(max_size=300))
def test_text_without_a_name_is_untouched_and_no_text_raises(text: str) -> None:
    """Masking is total, and changes only what follows a name."""
    assert redact_text(text.replace("o", "").replace("O", "").replace("e", "").replace("E", "")) is not None
    assert redact_text("".join(each for each in text if each not in "=:")) == "".join(
        each for each in text if each not in "=:"
    )


def test_a_setting_that_cannot_be_used_withholds_the_whole_value(configure: Configure) -> None:
    """If masking itself fails, nothing is shown, and nothing is raised."""
    configure(REDACT=[7])
    assert redact({"a": 1}) == WITHHELD
    assert redact_text("a") == WITHHELD
    assert describe(ValueError("x"))["message"] == WITHHELD


def test_a_value_without_end_is_withheld() -> None:
    """Depth is bounded."""
    endless: dict[str, Any] = {}
    endless["again"] = endless
    assert WITHHELD in json.dumps(redact(endless))


def test_errors_are_masked_before_they_are_stored_and_payloads_are_not(
    store: Store, declare: Declare
) -> None:
    """The secret is in no stored message, traceback or error; the workflow gets the real data and output."""

    def refuse(data: dict[str, Any]) -> None:
        raise ValueError(f"refused {data!r}")

    @declare(retries=1)
    def careful(ctx: Any) -> Any:
        assert ctx.event.data["password"] == CANARY
        got = yield ctx.step.run("login", lambda: {"token": "real"})
        assert got == {"token": "real"}
        yield ctx.step.run("refused", refuse, dict(ctx.event.data), retries=0)

    careful.start({"password": CANARY})
    drain()
    attempts = list(Attempt.objects.using(store.alias).values_list("message", "traceback"))
    failed = Step.objects.using(store.alias).get(name="refused")
    result = RunResult.objects.using(store.alias).get()
    assert MASK in attempts[0][0]
    assert MASK in str(result.error)
    assert CANARY not in f"{attempts}{failed.error}{result.error}"


def test_lines_of_a_workflow_are_masked(store: Store, declare: Declare, caplog: Any) -> None:
    """Mappings given to ctx.logger, as arguments or as extra, are masked; plain text is the author's."""

    @declare()
    def chatty(ctx: Any) -> Any:
        ctx.logger.warning("got %s and %s", {"password": CANARY}, 7, extra={"sent": {"token": CANARY}})
        return 1
        yield

    chatty.start()
    drain()
    (record,) = [each for each in caplog.records if each.name.startswith("durable_django.workflow")]
    assert record.getMessage() == f"got {{'password': '{MASK}'}} and 7"
    assert record.sent == {"token": MASK}
