"""Operators against each other and against the run itself: one of them wins."""

from __future__ import annotations

from typing import Any

import pytest

from durable_django.engine.operations import cancel_run, retry_run
from durable_django.exceptions import OperationRefused
from durable_django.models import AuditEntry, Step
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
