"""A workflow's own transaction block cannot hold steps."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from durable_django import workflow
from durable_django.exceptions import RunFailed
from durable_django.models import Step
from tests.plugins.store import Store


def test_a_step_inside_a_block_of_the_workflow_is_refused(store: Store) -> None:
    """The run fails at once with a coded error, and nothing of the step is stored."""
    calls: list[int] = []

    @workflow(id="flow")
    def flow(ctx: Any) -> None:
        with transaction.atomic(using=store.alias):
            ctx.step.run("inside", calls.append, 1)

    with pytest.raises(RunFailed, match="StepInTransaction") as caught:
        flow.start().result(60)
    assert caught.value.details["told"]["code"] == "step_in_transaction"
    assert calls == []
    assert not Step.objects.using(store.alias).exists()


def test_a_block_around_no_step_is_the_workflows_own_business(store: Store) -> None:
    """A block that has ended before the next step hinders nothing."""

    @workflow(id="flow")
    def flow(ctx: Any) -> int:
        with transaction.atomic(using=store.alias):
            pass
        return ctx.step.run("after", lambda: 7)

    assert flow.start().result(60) == 7
