"""A parent or a child of step.invoke that an operator retries, reruns, cancels or deletes."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django.engine.operations import cancel_run, delete_run, rerun, retry_run
from durable_django.models import Attempt, Event, Run
from durable_django.testing import advance, drain
from tests.laws.test_invoke import Declare, child, effect, effects, find, parent, quiet
from tests.plugins.store import Store

__all__ = ["child", "parent", "quiet"]  # the fixtures


@pytest.fixture
def strict(declare: Declare, child: Any) -> Any:
    """A parent that does not catch what its child does."""

    @declare(id="strict")
    def strict(ctx: Any) -> Any:
        yield ctx.step.run("before", effect, "before")
        return (yield ctx.step.invoke("ask", function=child, data=dict(ctx.event.data)))

    return strict


def test_a_cancelled_parent_leaves_its_child_alone(parent: Any) -> None:
    """The child goes on to its end, which nobody waits for."""
    handle = parent.start({"n": 1})
    drain()
    cancel_run(handle.id, actor="test")
    advance("61m")
    assert (find("child").status, find("parent").status) == ("completed", "cancelled")
    assert find("parent").wakeups == 0


def test_a_deleted_parent_leaves_its_child_alone(parent: Any) -> None:
    """A child whose parent is gone ends, and can be cancelled, like any run."""
    handles = [parent.start({"n": 1}) for _ in range(2)]
    drain()
    for handle in handles:
        cancel_run(handle.id, actor="test")
        delete_run(handle.id, actor="test")
    first, second = Run.objects.all()
    cancel_run(first.id, actor="test")
    advance("61m")
    second.refresh_from_db()
    assert second.status == "completed"


def test_a_retry_starts_a_new_child_for_one_that_failed(strict: Any, store: Store) -> None:
    """An operator's retry of the parent invokes anew; completed steps stay done, the old child stays failed."""
    handle = strict.start({"fail": True, "n": 8})
    drain()
    advance("61m")
    for number in (2, 3):
        assert handle.status == "failed"
        retry_run(handle.id, actor="test")
        drain()
        assert Run.objects.filter(workflow="child").count() == number
        if number == 3:
            Event.objects.filter(runs__workflow="child").update(data='{"n":8}')
        advance("61m")
    assert handle.result(0) == 16
    assert [run.status for run in Run.objects.filter(workflow="child").order_by("id")] == ["failed"] * 2 + [
        "completed"
    ]
    assert effects() == ["before"]


def test_a_retry_waits_for_the_child_that_still_runs(strict: Any) -> None:
    """A parent that was cancelled while it waited goes back to the child that goes on."""
    handle = strict.start({"n": 9})
    drain()
    cancel_run(handle.id, actor="test")
    retry_run(handle.id, actor="test")
    drain()
    assert handle.status == "waiting"
    advance("61m")
    assert handle.result(0) == 18
    assert Run.objects.filter(workflow="child").count() == 1


def test_a_retry_takes_the_result_that_came_meanwhile(strict: Any) -> None:
    """A child that completed after its parent was cancelled is not started again."""
    handle = strict.start({"n": 10})
    drain()
    cancel_run(handle.id, actor="test")
    advance("61m")
    retry_run(handle.id, actor="test")
    drain()
    assert handle.result(0) == 20
    assert Run.objects.filter(workflow="child").count() == 1


def test_a_retry_after_a_time_out_waits_again(declare: Declare, child: Any) -> None:
    """The time-out begins anew, and the child that went on is the one that is waited for."""

    @declare(id="hasty")
    def hasty(ctx: Any) -> Any:
        return (yield ctx.step.invoke("ask", function=child, data={"n": 1}, timeout="40m"))

    handle = hasty.start()
    drain()
    advance("41m")
    assert handle.status == "failed"
    retry_run(handle.id, actor="test")
    advance("25m")
    assert handle.result(0) == 2
    assert Run.objects.filter(workflow="child").count() == 1


def test_a_retried_child_does_not_disturb_its_parent(parent: Any) -> None:
    """The parent has taken the failure for an answer; a retry of the child is the child's own affair."""
    handle = parent.start({"fail": True})
    drain()
    advance("61m")
    retry_run(find("child").id, actor="test")
    drain()
    assert find("child").status == "failed"
    assert handle.result(0)[0] == "ValueError"
    assert Attempt.objects.filter(run__workflow="parent").count() == 0


def test_a_rerun_child_answers_nobody(parent: Any) -> None:
    """A rerun is a new run of its own, without a parent; the one that waits still gets its own child's result."""
    handle = parent.start({"n": 6})
    drain()
    again = rerun(find("child").id, actor="test")
    assert Run.objects.get(id=again.id).parent_id is None
    cancel_run(again.id, actor="test")
    assert handle.status == "waiting"
    advance("61m")
    assert handle.result(0) == 12
