"""Task 19: an operator cancels all that a list shows while new runs arrive and a worker dies."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from durable_django.ids import new_id
from durable_django.models import AuditEntry, BulkOperation, Event, Run
from tests.plugins.processes import Project
from tests.plugins.store import Store
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(1_800),
    pytest.mark.parametrize(
        ("store", "script"),
        [("postgres", True), ("sqlite", False)],
        ids=["script", "plain"],
        indirect=["store"],
    ),
]
MakeUser = Callable[..., User]
ROWS = 12_000
TOLD = {"postgresql": "about 12,000", "sqlite": "more than 10,000"}
"""Above 10,000 rows the planner estimates how many there are; SQLite has none that tells."""
SECONDS = 240.0
STILL = 60.0
"""Seconds without a step after which an operation is stuck."""
OPERATOR = ("view_run", "view_bulkoperation", "view_auditentry", "cancel_run", "bulk_operate")


def make_runs(count: int) -> None:
    """Store runs that wait."""
    event = Event.objects.create(name="a/b", ts=1, routed_at=timezone.now())
    soon = timezone.now() + timedelta(days=1)
    fields: dict[str, Any] = {"workflow": "w", "queue": "q", "status": "waiting", "waits_for": "event"}
    Run.objects.bulk_create(Run(id=new_id(), event=event, wake_at=soon, **fields) for _ in range(count))
    with connections[Run.objects.db].cursor() as cursor:
        cursor.execute("ANALYZE durable_django_run")


def count_cancelled() -> int:
    return Run.objects.filter(status="cancelled").count()


def wait_for(condition: Callable[[], Any], what: str) -> None:
    wait_until(condition, SECONDS, what)


def wait_for_end() -> None:
    """Wait as long as the operation moves: how fast it does so is a matter of the machine."""
    while (bulk := BulkOperation.objects.get()).state != "finished":
        moved = BulkOperation.objects.exclude(done=bulk.done, state="running")
        wait_until(moved.exists, STILL, f"a step beyond {bulk.done} rows")


def start_from_list(browser: Any, user: User, script: bool, told: str) -> Any:
    """Go from the list to the running operation, and return its page."""
    page = browser.open(reverse("admin:durable_django_run_changelist"), user=user, script=script)
    page.get_by_role("link", name="All matching…").click()
    page.get_by_role("link", name="Cancel…").click()
    browser.check(page, f"bulk-question-{script}")
    page.fill("[name=reason]", "wrong price")
    assert f"Cancel {told} runs?" in page.content()
    page.get_by_role("button", name="Cancel all of them").click()
    number = re.sub(r"\D", "", told)
    page.get_by_text(f"Type {number} to go on.").first.wait_for()
    assert not BulkOperation.objects.exists()
    page.fill("[name=typed]", number)
    page.get_by_role("button", name="Cancel all of them").click()
    page.get_by_role("link", name="Stop…").wait_for()
    return page


def test_cancel_all_that_match(
    browser: Any, make_user: MakeUser, store: Store, project: Callable[..., Project], script: bool
) -> None:
    """Exactly the runs from before the confirmation change: through a worker's death, a stop and new arrivals."""
    make_runs(ROWS)
    user = make_user(*OPERATOR)
    page = start_from_list(browser, user, script, TOLD[store.vendor])
    page.set_default_timeout(SECONDS * 1_000)
    make_runs(7)

    place = project(LEASE_SECONDS=2.0, TICK_SECONDS=0.2)
    first = place.start_manage("durable", "worker")
    wait_for(lambda: count_cancelled() > 20, "some runs being cancelled")
    first.kill()
    done = BulkOperation.objects.get().done
    assert 0 < done < ROWS
    if script:  # the page has refreshed itself
        page.get_by_text(f"0 failed, of about {ROWS:,}.").first.wait_for()
        page.locator("progress[value]:not([value='0'])").wait_for()

    place.start_manage("durable", "worker")
    wait_for(lambda: BulkOperation.objects.get().done > done, "another worker going on")
    page.get_by_role("link", name="Stop…").click()
    page.get_by_role("button", name="Stop the bulk operation").click()
    page.get_by_role("link", name="Continue…").wait_for()
    stopped = count_cancelled()
    browser.check(page, f"bulk-stopped-{script}")
    page.get_by_role("link", name="Continue…").click()
    page.get_by_role("button", name="Continue the bulk operation").click()

    assert stopped <= ROWS
    wait_for_end()
    assert (count_cancelled(), Run.objects.filter(status="waiting").count()) == (ROWS, 7)
    assert AuditEntry.objects.filter(action="cancel", reason="wrong price").count() == ROWS
    page.goto(page.url)
    assert f"{ROWS:,} done, 0 left alone, 0 failed" in page.content()
    browser.check(page, f"bulk-finished-{script}")
    page.goto(browser.server + reverse("admin:durable_django_bulkoperation_changelist"))
    assert page.locator("#result_list tbody tr").count() == 1
