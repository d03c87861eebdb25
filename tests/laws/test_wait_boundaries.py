"""A wait that comes while an event is received: at every boundary of the sender, which may die there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from durable_django import send_event
from durable_django.models import Event, Run, Wait, WaitKey
from durable_django.testing import advance
from tests.interleave import before
from tests.plugins.store import Store


class Killed(KeyboardInterrupt):
    """Stands for SIGKILL: no code of the engine runs after it."""


START = "/* UPDATE durable_django_event */"
PATHS, FIND, END = "_pathset WHERE", "WITH sent", "status = 'matched'"
BOUNDARIES = {"postgres": [START, PATHS, FIND, END], "sqlite": [PATHS, FIND]}
"""On SQLite the others lie in a transaction that excludes every other writer."""


@pytest.fixture
def asking(declare: Any) -> Any:
    @declare()
    def asking(ctx: Any) -> Any:
        found = yield ctx.step.wait_for_event("w", event="app/answer", match="data.n", timeout="1h")
        return found and found.data["n"]

    return asking


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize(
    ("store", "place"),
    [(name, place) for name in BOUNDARIES for place in BOUNDARIES[name]],
    indirect=["store"],
)
def test_a_wait_that_begins_while_the_event_is_routed(
    asking: Any, store: Store, elsewhere: Callable[..., Any], place: str, crash: bool
) -> None:
    """The event was committed before that wait, so it ends the older wait only, once, whoever ends the routing."""
    old = asking.start({"n": 1})
    young: list[Any] = []

    def begin() -> None:
        young.append(elsewhere(lambda: asking.start({"n": 1})))
        if crash:
            raise Killed

    with before(store.alias, place, begin):
        if crash:
            with pytest.raises(Killed):
                send_event("app/answer", {"n": 1})
        else:
            send_event("app/answer", {"n": 1})
    if crash:
        assert Event.objects.filter(name="app/answer", routed_at=None).count() == 1
    advance("10s")
    assert old.result(0) == 1
    assert Run.objects.get(id=old.id).wakeups == 1
    assert young[0].status == "waiting"
    assert not Event.objects.filter(routed_at=None).exists()
    send_event("app/answer", {"n": 1})
    assert young[0].result(0) == 1
    assert set(Wait.objects.values_list("status", flat=True)) == {"matched"}
    assert WaitKey.objects.count() == 0


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
@pytest.mark.parametrize("end", ["commit", "roll back", "die"])
def test_a_wait_that_begins_while_the_sender_has_not_committed(
    asking: Any, store: Store, elsewhere: Callable[..., Any], end: str
) -> None:
    """An event counts from its commit: it ends the wait that came before that, or it never was."""
    young: list[Any] = []
    try:
        with transaction.atomic(using=store.alias):
            send_event("app/answer", {"n": 1})
            young.append(elsewhere(lambda: asking.start({"n": 1})))
            assert young[0].status == "waiting"
            if end != "commit":
                raise Killed if end == "die" else RuntimeError
    except (Killed, RuntimeError):
        assert end != "commit"
    assert young[0].status == ("completed" if end == "commit" else "waiting")
    advance("10s")
    assert young[0].status == ("completed" if end == "commit" else "waiting")
    assert Event.objects.filter(name="app/answer").exists() is (end == "commit")
