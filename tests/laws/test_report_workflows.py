"""What workers report of the workflows that they have code for."""

from __future__ import annotations

import json
from typing import Any

from durable_django import Cancel, Timeouts
from durable_django.dispatch.ticker import Ticker
from durable_django.engine.operations import pause_workflow
from durable_django.engine.report_workflows import report_workflows
from durable_django.models import WorkflowState
from tests.waiting import wait_until


def test_a_workflow_is_reported(declare: Any, store: Any) -> None:
    """Place, version and options are stored; a pause is left as it is; a second report renews them."""

    @declare(
        id="flow",
        trigger="app/x",
        retries=2,
        version="v1",
        timeouts=Timeouts(start="1h"),
        cancel_on=[Cancel(event="app/stop")],
    )
    def flow(ctx: Any) -> Any:
        yield ctx.step.run("one", int)

    pause_workflow("flow", actor="ann")
    assert report_workflows(store.alias) == 1
    first = WorkflowState.objects.get()
    assert (first.paused_by, first.version, first.seen_at is not None) == ("ann", "v1", True)
    assert first.file.endswith(".py")
    assert (first.line or 0) > 0
    told = json.loads(first.config)
    assert (told["triggers"], told["cancel_on"], told["start_within"]) == (["app/x"], ["app/stop"], 3600.0)
    report_workflows(store.alias)
    assert WorkflowState.objects.get().seen_at >= first.seen_at


def test_without_workflows_nothing_is_reported(store: Any) -> None:
    """A process without workflows writes nothing."""
    assert report_workflows(store.alias) == 0
    assert not WorkflowState.objects.exists()


def test_a_worker_reports_at_its_start(declare: Any, store: Any) -> None:
    """The tick of a worker reports what its process knows."""
    declare(id="flow")(lambda ctx: iter(()))
    ticker = Ticker(store.alias, ["durable"])
    ticker.start()
    try:
        wait_until(lambda: WorkflowState.objects.using(store.alias).filter(seen_at__isnull=False).exists())
    finally:
        ticker.stop()
