"""Plans that must not depend on statistics: no verb of one run reads the rows of all runs."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from durable_django.store.base import Finish
from durable_django.store.claim import claim_runs
from durable_django.store.finish import finish_runs
from durable_django.store.lease import settle_wait
from tests.plugins.store import Store
from tests.quiet import QUIET

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)


@pytest.fixture
def plans(store: Store) -> Any:
    """The plans of the statements that the test sends, as lines of text."""
    lines: list[str] = []

    def explain(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        with connections[store.alias].connection.cursor() as handle:
            handle.execute(f"EXPLAIN {sql}", params)
            lines.extend(line for (line,) in handle.fetchall())
        return execute(sql, params, *rest)

    with connections[store.alias].execute_wrapper(explain):
        yield lines


def test_an_end_finds_its_waits_by_its_run(store: Store, configure: Any, plans: list[str]) -> None:
    """Ending a run does not read the index of all open waits, whatever the planner knows of the table."""
    from durable_django import workflow

    configure(DISPATCHER=QUIET)

    @workflow(id="flow")
    def flow(ctx: Any) -> None:
        return None

    flow.start()
    [claimed] = claim_runs(store.alias, owner="me", lease=60, queue="durable")
    plans.clear()
    assert finish_runs(store.alias, [Finish(run_id=claimed.id, token=claimed.token, status="completed")]) == [
        True
    ]
    assert any("durable_django_wait w" in line for line in plans)
    assert not [line for line in plans if "durable_wait_open" in line]


def test_a_look_after_parking_finds_its_waits_by_its_run(store: Store, plans: list[str]) -> None:
    """Neither does the look that follows a parking."""
    from durable_django.ids import new_id

    settle_wait(store.alias, new_id(), 1, 60.0, ["app/x"])
    assert any("durable_django_wait w" in line for line in plans)
    assert not [line for line in plans if "durable_wait_open" in line]
