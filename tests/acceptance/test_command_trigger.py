from __future__ import annotations

from typing import Any

import pytest

from durable_django import NonRetriableError, workflow
from durable_django.models import AuditEntry, Run
from tests.commands import run_durable
from tests.plugins.store import Store


@pytest.fixture
def doubler() -> Any:
    @workflow(id="double-it")
    def double(ctx: Any) -> Any:
        if "n" not in ctx.event.data:
            raise NonRetriableError("there is no n")
        return {"twice": ctx.event.data["n"] * 2}

    return double


@pytest.fixture
def sleeper() -> Any:
    @workflow(id="sleeper")
    def sleeper(ctx: Any) -> None:
        ctx.step.sleep("long", "1h")

    return sleeper


def test_trigger_starts_and_logs(store: Store, doubler: Any) -> None:
    """A workflow starts by its id with the data; the log names the run and the user."""
    said = run_durable("trigger", "double-it", '{"n": 4}', "--json")
    run = Run.objects.get()
    assert said.data == {"id": str(run.id), "workflow": "double-it", "status": "completed"}
    assert run.origin == "cli"
    entry = AuditEntry.objects.get(run_id=run.id)
    assert (entry.action, entry.workflow) == ("trigger", "double-it")


def test_trigger_without_json_names_the_run(store: Store, doubler: Any) -> None:
    """The line for people has the run's id and how to look at it."""
    said = run_durable("trigger", "double-it", '{"n": 4}')
    assert f"durable show {Run.objects.get().id}" in said.out


def test_wait_prints_the_result(store: Store, doubler: Any) -> None:
    """``--wait`` prints the output."""
    assert run_durable("trigger", "double-it", '{"n": 4}', "--wait", "5").data == {"twice": 8}
    said = run_durable("trigger", "double-it", '{"n": 5}', "--wait", "5s", "--json").data
    assert (said["status"], said["output"]) == ("completed", {"twice": 10})


def test_wait_for_a_failure_fails(store: Store, doubler: Any) -> None:
    """``--wait`` for a run that fails is a failure that tells the run's error."""
    said = run_durable("trigger", "double-it", "--wait", "5", fails=True)
    assert "[run_failed]" in said.error
    assert "there is no n" in said.error


def test_wait_is_bounded(store: Store, sleeper: Any) -> None:
    """``--wait`` gives up in time; the run goes on."""
    said = run_durable("trigger", "sleeper", "--wait", "0.05", fails=True)
    assert "[result_timeout]" in said.error
    assert Run.objects.get().status == "waiting"


def test_key_starts_once(store: Store, doubler: Any) -> None:
    """Two calls with one ``--key`` are one run."""
    first, second = (
        run_durable("trigger", "double-it", '{"n": 4}', "--key", "k", "--json").data["id"] for _ in range(2)
    )
    assert first == second
    assert Run.objects.count() == 1


def test_unknown_workflow_gets_a_hint(store: Store, doubler: Any) -> None:
    """A mistyped id is refused with the nearest one."""
    said = run_durable("trigger", "dobule-it", fails=True)
    assert "[workflow_unknown]" in said.error
    assert "Did you mean 'double-it'?" in said.error


@pytest.mark.parametrize("data", ["{", "[1]", "null", "1"])
def test_data_must_be_an_object(store: Store, doubler: Any, data: str) -> None:
    """Data that is no JSON object starts nothing."""
    assert "JSON" in run_durable("trigger", "double-it", data, fails=True).error
    assert Run.objects.count() == 0
