"""Operators against each other and against the run itself: one of them wins."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django.engine.operations import cancel_run, retry_run
from durable_django.exceptions import OperationRefused
from durable_django.models import AuditEntry, Run, Step
from durable_django.testing import drain
from tests.quiet import QUIET
from tests.threads import run_together


@pytest.mark.parametrize("operation", [cancel_run, retry_run])
def test_of_two_operators_at_once_one_acts(declare: Any, configure: Any, operation: Any) -> None:
    """The same action by several operators at the same moment happens once; the others are told (F66)."""
    configure(DISPATCHER=QUIET)

    @declare()
    def flow(ctx: Any) -> Any:
        return (yield ctx.step.run("one", int))

    handle = flow.start()
    if operation is retry_run:
        cancel_run(handle.id, actor="first")

    def act() -> str:
        try:
            operation(handle.id, actor="me")
        except OperationRefused:
            return "refused"
        return "acted"

    assert sorted(run_together([act] * 4)) == ["acted"] + ["refused"] * 3
    assert AuditEntry.objects.filter(actor="me").count() == 1


def test_cancel_and_finish_at_once_end_the_run_once(declare: Any, configure: Any) -> None:
    """A cancellation that meets the end of the run either comes first or is refused (F65)."""

    @declare()
    def flow(ctx: Any) -> Any:
        yield ctx.step.run("one", int)
        return "done"

    for _ in range(4):
        configure(DISPATCHER=QUIET)
        handle = flow.start()

        def cancel(id: str = handle.id) -> str:
            try:
                cancel_run(id, actor="me")
            except OperationRefused:
                return "completed"
            return "cancelled"

        outcome, _ = run_together([cancel, drain])
        assert handle.status == outcome
    assert Step.objects.exclude(status="completed").count() == 0


def test_two_operators_cancel_a_family_at_once(declare: Any, configure: Any) -> None:
    """One of them cancels parent and children, the other is refused; the locks of both have one order."""

    @declare(id="child")
    def child(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")

    @declare(id="parent")
    def parent(ctx: Any) -> Any:
        yield ctx.step.invoke("call", function=child)

    for _ in range(4):
        configure(DISPATCHER="inline")
        handle = parent.start()
        configure(DISPATCHER=QUIET)
        [below] = Run.objects.filter(parent_id=handle.id)

        def cancel(id: Any, children: bool) -> str:
            try:
                cancel_run(id, actor="me", children=children)
            except OperationRefused:
                return "refused"
            return "acted"

        acts = [(handle.id, True), (handle.id, True), (below.id, False)]
        outcome = run_together([lambda act=act: cancel(*act) for act in acts])
        assert sorted(outcome[:2]) == ["acted", "refused"]
        below.refresh_from_db()
        assert (handle.status, below.status) == ("cancelled", "cancelled")
