from __future__ import annotations

from typing import Any

import pytest

from durable_django import workflow
from durable_django.models import AuditEntry, BulkOperation, Run
from tests.commands import run_durable
from tests.plugins.store import Store


@pytest.fixture
def waiting(store: Store) -> Any:
    @workflow(id="waiting")
    def waiting(ctx: Any) -> Any:
        return ctx.step.wait_for_event("w", event="w/go", timeout="1 day")

    return waiting


def test_a_bulk_cancel_from_the_command_line(store: Store, waiting: Any) -> None:
    """The command starts an operation, the tick carries it out, show tells how far it is."""
    runs = [waiting.start() for _ in range(3)]
    said = run_durable("bulk", "cancel", "--where", "workflow=waiting", "--reason", "wrong price")
    bulk = BulkOperation.objects.get()
    assert said.out.startswith(f"Started bulk operation {bulk.pk}: cancel 3 runs.")
    assert (bulk.matched, bulk.matched_exactly, bulk.reason) == (3, True, "wrong price")
    assert bulk.actor.startswith("cli:")
    assert run_durable("tick", "--json").data["bulk"] == 3
    assert {run.status for run in runs} == {"cancelled"}
    shown = run_durable("bulk", "show", str(bulk.pk))
    assert "(cancel) is finished: of 3 3 done, 0 left alone, 0 failed." in shown.out
    [listed] = run_durable("bulk", "list", "--json").data
    assert (listed["id"], listed["state"], listed["filter"]) == (bulk.pk, "finished", {"workflow": "waiting"})


def test_filters_from_the_command_line(store: Store, waiting: Any) -> None:
    """States are a list, ages become instants, and what is unknown is wrong usage."""
    waiting.start()
    data = run_durable(
        "bulk", "cancel", "--where", "status=waiting,queued", "--where", "since=1h", "--json"
    ).data
    assert data["filter"]["status"] == ["waiting", "queued"]
    assert data["filter"]["since"].endswith("+00:00")
    assert data["matched"] == 1
    error = run_durable("bulk", "cancel", "--where", "wrokflow=waiting", fails=True).error
    assert "NAME=VALUE" in error
    assert "the filter is empty" in run_durable("bulk", "cancel", fails=True).error


def test_a_bulk_cancel_with_children(store: Store, waiting: Any) -> None:
    """``--children`` cancels also what the runs have started; actions without it refuse it."""

    @workflow(id="parent")
    def parent(ctx: Any) -> Any:
        return ctx.step.invoke("child", function=waiting, timeout="1d")

    parent.start()
    run_durable("bulk", "cancel", "--where", "workflow=parent", "--children")
    run_durable("tick")
    assert list(Run.objects.values_list("status", flat=True)) == ["cancelled", "cancelled"]
    assert (
        "children"
        in run_durable("bulk", "rerun", "--where", "workflow=parent", "--children", fails=True).error
    )


def test_dry_run_starts_nothing(store: Store, waiting: Any) -> None:
    """``--dry-run`` counts what matches now."""
    waiting.start()
    assert (
        run_durable("bulk", "cancel", "--where", "workflow=waiting", "--dry-run").out
        == "Would cancel 1 runs.\n"
    )
    data = run_durable("bulk", "rerun", "--where", "workflow=waiting", "--dry-run", "--json").data
    assert (data["matched"], data["exact"]) == (1, True)
    assert not BulkOperation.objects.exists()
    assert not AuditEntry.objects.exists()


def test_stop_and_continue_from_the_command_line(store: Store, waiting: Any) -> None:
    """A stopped operation changes nothing at the tick; continued, it does."""
    waiting.start()
    number = str(run_durable("bulk", "cancel", "--where", "workflow=waiting", "--json").data["id"])
    assert run_durable("bulk", "stop", number, "--json").data["state"] == "stopped"
    assert "bulk_refused" in run_durable("bulk", "stop", number, fails=True).error
    assert run_durable("tick", "--json").data["bulk"] == 0
    run_durable("bulk", "continue", number)
    run_durable("tick")
    assert Run.objects.get().status == "cancelled"
    assert {"bulk cancel", "bulk stop", "bulk continue"} <= set(
        AuditEntry.objects.values_list("action", flat=True)
    )


@pytest.mark.parametrize("arguments", [("show",), ("stop",), ("list", "7"), ("cancel", "7")])
def test_wrong_usage(store: Store, arguments: tuple[str, ...]) -> None:
    """An operation is named where one is meant, and nowhere else."""
    run_durable("bulk", *arguments, fails=True)
    assert "bulk_not_found" in run_durable("bulk", "show", "7", fails=True).error
