"""Triggers: which events start a workflow."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django import EventTrigger, send_event
from durable_django.models import Event as StoredEvent
from durable_django.models import Run


@pytest.mark.parametrize(
    ("trigger", "name", "starts"),
    [
        ("app/user.created", "app/user.created", True),
        ("app/*", "app/user.created", True),
        ("app/user.*", "app/user.created", True),
        ("app/user.*", "app/username", False),
        ("*", "anything", True),
        ("app/user.created", "app/user.created2", False),
        ("app/user", "APP/user", False),
    ],
)
def test_triggers_fit_names(declare: Any, trigger: str, name: str, starts: bool) -> None:
    """A trigger is a name, or a prefix before a star at the end."""
    declare(trigger=trigger)(lambda ctx: None)
    send_event(name)
    assert Run.objects.count() == starts


def test_several_triggers_that_fit_start_one_run(declare: Any) -> None:
    """However many triggers of a workflow fit an event, it starts once."""
    declare(trigger=["app/x", "app/*", EventTrigger("app/x", if_exp="true")])(lambda ctx: None)
    send_event("app/x")
    assert Run.objects.count() == 1


def test_a_trigger_condition_decides(declare: Any) -> None:
    """``if_exp`` starts on true only; one that fails or does not compile does not stop other workflows."""
    for name, expression in {
        "yes": "event.data.n > 1",
        "no": "event.data.n > 5",
        "absent": "event.data.missing.deep == 1",
        "number": "event.data.n",
        "broken": "event.data.n ==",
        "unknown": "nothing(event)",
    }.items():
        declare(id=name, trigger=EventTrigger("app/x", if_exp=expression))(lambda ctx: None)
    send_event("app/x", {"n": 2})
    assert list(Run.objects.values_list("workflow", flat=True)) == ["yes"]
    assert StoredEvent.objects.filter(routed_at=None).count() == 0
