from __future__ import annotations

from typing import Any

import pytest

from durable_django import send_event, workflow
from durable_django.engine.near_misses import find_near_misses, judge_terms
from durable_django.engine.say_event import say_unmet
from durable_django.models import Wait
from durable_django.testing import drain
from tests.plugins.store import Store

CONDITION = (
    "event.data.big == true && async.data.id == event.data.id && (event.data.id > 5 || async.data.id > 0)"
)


@pytest.fixture
def asking() -> Any:
    @workflow(id="asking")
    def asking(ctx: Any) -> None:
        ctx.step.wait_for_event("answer", event="an/answer", if_exp=CONDITION, timeout="1 day")

    return asking


@pytest.mark.parametrize(("big", "verdict"), [(True, True), (False, False), (None, False)])
def test_terms_are_decided_as_far_as_they_can_be(
    store: Store, asking: Any, big: bool | None, verdict: bool
) -> None:
    """A term that reads the triggering event alone is true or false now; the others wait for an event."""
    asking.start({"id": 7} if big is None else {"id": 7, "big": big})
    drain()
    terms = judge_terms(Wait.objects.get())
    assert [term.verdict for term in terms] == [verdict, None, None]
    assert [term.text for term in terms[:2]] == ["event.data.big == true", "async.data.id == event.data.id"]


def test_events_that_came_close_are_told_with_what_was_false(store: Store, asking: Any) -> None:
    """The newest first, those of the right name since the wait began; not the one that ended it."""
    send_event("an/answer", {"id": 1})
    asking.start({"id": 7, "big": True})
    drain()
    missed = [send_event("an/answer", {"id": number}) for number in (2, 3)]
    send_event("another/name", {"id": 7})
    drain()
    wait = Wait.objects.get()
    found = find_near_misses(store.alias, wait)
    assert [str(each.event_id) for each in found] == missed[::-1]
    assert [say_unmet(each) for each in found[0].unmet] == [
        "async.data.id == event.data.id is false: event.data.id = 7, async.data.id = 3"
    ]
    send_event("an/answer", {"id": 7})
    drain()
    send_event("an/answer", {"id": 9})
    drain()
    ended = Wait.objects.get()
    assert ended.status == "matched"
    assert [str(each.event_id) for each in find_near_misses(store.alias, ended)] == missed[::-1]
