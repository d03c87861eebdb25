"""One writer (law 3): a worker that lost its run changes nothing of it, whatever it was about to write."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import F

from durable_django import NonRetriableError
from durable_django.models import Attempt, Event, Run, RunResult, Step, Wait
from durable_django.testing import advance


def take(status: str) -> None:
    """Take the run away from its worker: by a claim of another one, or by a cancellation."""
    if status == "running":
        Run.objects.update(token=F("token") + 1, owner="other")
    else:
        Run.objects.update(status=status, wake_at=None, ended_at=F("started_at"))


def fail() -> None:
    raise NonRetriableError("no")


ENDINGS: dict[str, Any] = {
    "step": lambda ctx: ctx.step.run("late", int),
    "atomic": lambda ctx: ctx.step.run("late", int, atomic=True),
    "retry": lambda ctx: ctx.step.run("late", lambda: 1 / 0),
    "failure": lambda ctx: ctx.step.run("late", fail),
    "send": lambda ctx: ctx.step.send_event("late", {"name": "app/late"}),
    "sleep": lambda ctx: ctx.step.sleep("late", "1h"),
    "no sleep": lambda ctx: ctx.step.sleep("late", 0),
    "wait": lambda ctx: ctx.step.wait_for_event("late", event="app/never", timeout="1h"),
    "finish": None,
    "error": None,
    "segment": None,
    "fatal": lambda ctx: ctx.step.sleep("late", "soon"),
}


@pytest.mark.parametrize("status", ["running", "cancelled"])
@pytest.mark.parametrize("ending", list(ENDINGS))
def test_every_write_of_a_lost_lease_is_refused(
    declare: Any, elsewhere: Any, ending: str, status: str
) -> None:
    """After a take-over or a cancellation nothing that the old worker writes leaves a trace."""
    after: list[str] = []

    @declare()
    def zombie(ctx: Any) -> Any:
        yield ctx.step.run("one", int)
        elsewhere(take, status)
        if ending == "error":
            raise NonRetriableError("late")
        if ending == "segment":
            raise ValueError("late")
        if ENDINGS[ending] is not None:
            yield ENDINGS[ending](ctx)
            after.append("went on")
        return "late"

    zombie.start()
    run = Run.objects.get()
    assert run.status == status
    assert status == "cancelled" or run.owner == "other"
    assert after == []
    assert list(Step.objects.values_list("name", flat=True)) == ["one"]
    assert [model.objects.count() for model in (Attempt, Wait, RunResult)] == [0, 0, 0]
    assert Event.objects.filter(name="app/late").count() == 0


def test_the_new_owner_adopts_what_the_old_one_stored(declare: Any, elsewhere: Any) -> None:
    """Steps that were stored before the take-over are not run again by the next owner."""
    calls: list[str] = []
    stolen: list[int] = []

    @declare()
    def relay(ctx: Any) -> Any:
        yield ctx.step.run("one", calls.append, "one")
        if not stolen:
            stolen.append(1)
            elsewhere(take, "running")
        yield ctx.step.run("two", calls.append, "two")
        return "done"

    handle = relay.start()
    assert handle.status == "running"
    advance("1m")
    assert handle.result(0) == "done"
    assert calls == ["one", "two", "two"]
    assert set(Step.objects.values_list("name", "token")) == {("one", 1), ("two", 3)}
