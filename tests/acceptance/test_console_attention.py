"""What the console says of failures, late waits and dead workers, and that its links lead to exactly these rows."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from durable_django.engine.tick import report_worker, tick
from durable_django.models import Run, Wait, Worker
from tests.acceptance.test_console_costs import FLOOR, counting, make_runs
from tests.acceptance.test_console_list import make_live, make_run
from tests.plans import list_reads
from tests.plugins.store import Store
from tests.quiet import QUIET

OVERVIEW = "admin:durable_django_overview"
LISTS = ["run", "event", "wait", "bulkoperation"]


def list_lines(client: Client) -> dict[str, str]:
    """Return the lines of Attention with their addresses."""
    html = client.get(reverse(OVERVIEW)).content.decode()
    lines = html.partition('class="dd-attention"')[2].partition("</ul>")[0]
    found = re.findall(r'<li[^>]*><a href="([^"]+)">([^<]+)</a>', lines)
    return {text: url.replace("&amp;", "&") for url, text in found}


def test_failures_are_those_of_the_last_hour(store: Store, admin_client: Client) -> None:
    """By when they failed, not by when they began; the link shows as many, and no others."""
    now = timezone.now()
    for _ in range(3):
        make_run(status="failed", workflow="ship", age=timedelta(days=3), ended_at=now - timedelta(minutes=5))
    make_run(status="failed", workflow="ship", ended_at=now - timedelta(hours=2))
    make_run(status="cancelled", workflow="ship", ended_at=now)
    lines = list_lines(admin_client)
    page = admin_client.get(lines["3 runs of “ship” failed"]).content.decode()
    assert "3 shown" in page
    tile = admin_client.get(reverse(OVERVIEW)).content.decode().partition('"dd-tile-failed"')[2]
    url, count = re.findall(r'<a href="([^"]+)"><span class="dd-count">(\d+)', tile.partition("</li>")[0])[0]
    assert count == "4"
    assert "4 shown" in admin_client.get(url.replace("&amp;", "&")).content.decode()


def test_waits_that_are_overdue_are_counted(store: Store, admin_client: Client) -> None:
    """Open ones whose time is over for a while; the link leads to exactly these."""
    past, soon = timezone.now() - timedelta(minutes=3), timezone.now() + timedelta(hours=1)
    late = make_live("waiting", waits_for="event", wake_at=past)
    for number in range(2):
        Wait.objects.create(run=late, name=f"w{number}", kind="event", event_name="a/b", expires_at=past)
    Wait.objects.create(run=late, name="rule", kind="cancel", event_name="a/b", expires_at=past)
    Wait.objects.create(run=late, name="over", kind="event", status="expired", expires_at=past)
    Wait.objects.create(run=make_live("waiting"), name="w", kind="event", event_name="a/b", expires_at=soon)
    url = list_lines(admin_client)["2 waits are overdue"]
    assert "2 shown" in admin_client.get(url).content.decode()


def test_failed_runs_are_found_by_their_end(store: Store, admin_client: Client) -> None:
    """Among many that completed an index finds the few that failed."""
    make_runs(3_000)
    make_runs(5, status="failed")
    with store.connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with counting(store) as asked:
        admin_client.get(reverse(OVERVIEW))
    assert len([sql for sql in asked if sql.startswith("SELECT")]) <= FLOOR + 5
    (rows,) = [sql for sql in asked if "ended_at" in sql and '"status" = ' in sql]
    assert "durable_run_failed" in {read.index for read in list_reads(store, rows)}


@pytest.mark.parametrize("model", LISTS)
def test_a_list_without_a_worker_says_so(
    store: Store, admin_client: Client, configure: Any, model: str
) -> None:
    """Whether it is empty or not, when the last one was seen, and nothing of the sort while one lives."""
    configure(DISPATCHER=QUIET)
    url = reverse(f"admin:durable_django_{model}_changelist")

    def read() -> str:
        return admin_client.get(url).content.decode()

    tick(store.alias, period=0, force=True)
    assert "No worker has ever reported." in read()
    report_worker(store.alias, "web-1:1", "worker", ["durable"])
    with counting(store) as asked:
        assert "No worker is alive" not in read()
    assert len([sql for sql in asked if sql.startswith("SELECT")]) <= FLOOR + 4
    Worker.objects.exclude(name="tick").update(seen_at=timezone.now() - timedelta(minutes=5))
    assert re.search(r"No worker is alive, so nothing here moves\.</strong> The last one was seen 5m", read())


def test_where_no_worker_reports_itself_none_is_missed(
    store: Store, admin_client: Client, configure: Any
) -> None:
    """Inline there are none; Celery workers report themselves whether they tick or not."""
    url = reverse("admin:durable_django_run_changelist")
    configure(DISPATCHER="inline")
    assert "No worker" not in admin_client.get(url).content.decode()
    configure(DISPATCHER="celery", TICK_FROM_WORKERS=False)
    assert "No worker has ever reported." in admin_client.get(url).content.decode()


def test_the_runs_of_a_worker_are_those_of_its_children(store: Store, admin_client: Client) -> None:
    """The page of workers counts them, and its number leads to them."""
    report_worker(store.alias, "web-1:47", "celery", ["durable"], slots=(4, 2))
    runs = [make_live("running", owner=owner) for owner in ("web-1:47+48", "web-1:47+49")]
    make_live("running", owner="web-1:471")
    html = admin_client.get(reverse("admin:durable_django_worker_changelist")).content.decode()
    row = html.partition("web-1:47<")[2].partition("</tr>")[0]
    assert "2 of 4" in row
    url, count = re.findall(r'<td class="dd-number"><a href="([^"]+)">(\d+)</a>', row)[0]
    assert count == "2"
    listed = admin_client.get(url.replace("&amp;", "&")).content.decode()
    assert set(re.findall(r'<code class="dd-nowrap" title="([^"]+)"', listed)) == {
        str(run.pk) for run in runs
    }
    assert Run.objects.count() == 3
