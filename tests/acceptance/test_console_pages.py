"""The overview, workflows, workers, the operator log and the health page: what they say, and what it costs."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from durable_django import Cron, workflow
from durable_django.engine.operations import cancel_run
from durable_django.engine.report_workflows import report_workflows
from durable_django.engine.rollup import roll_up
from durable_django.ids import new_id
from durable_django.models import (
    Attempt,
    AuditEntry,
    Rollup,
    Run,
    RunResult,
    Schedule,
    Step,
    Worker,
    WorkflowState,
)
from tests.acceptance.test_console_costs import FLOOR, counting
from tests.acceptance.test_console_list import log_in, make_live, make_run
from tests.databases import forget_figures
from tests.plugins.store import Store

OVERVIEW = "admin:durable_django_overview"
WORKFLOWS = "admin:durable_django_workflowstate_changelist"
WORKFLOW = "admin:durable_django_workflowstate_change"
WORKERS = "admin:durable_django_worker_changelist"
LOG = "admin:durable_django_auditentry_changelist"
HEALTH = "admin:durable_django_health"


def read(client: Client, name: str, *args: Any, **query: Any) -> str:
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return answer.content.decode()


def end_runs(store: Store, number: int, **fields: Any) -> list[Run]:
    """Runs that ended two minutes ago, and the figures of that minute."""
    now = timezone.now()
    runs = [
        make_run(ended_at=now - timedelta(minutes=2), started_at=now - timedelta(minutes=3), **fields)
        for _ in range(number)
    ]
    Rollup.objects.all().delete()
    roll_up(store.alias, now)
    return runs


def read_table(html: str, title: str) -> str:
    """Return the table of a chart as text."""
    chart = html.partition(f">{title}\n")[2].partition("</figure>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", chart.partition("<table>")[2]).split())


def test_the_charts_are_the_figures(store: Store, admin_client: Client) -> None:
    """Each number of a drawing stands in its table: ends, starts, backlog, delays and durations."""
    make_live("queued")
    end_runs(store, 3)
    end_runs(store, 2, status="failed")
    html = read(admin_client, OVERVIEW)
    assert " 3 2 0" in read_table(html, "Runs ended")
    assert " 5 " in read_table(html, "Runs started") + " "
    assert " 1 0 0" in read_table(html, "Unfinished runs")
    assert html.count("dd-column") == 4
    week = read(admin_client, OVERVIEW, span="7d")
    assert " 3 2 0" in read_table(week, "Runs ended")
    assert 'href="?span=7d" aria-current="page"' in week


def test_the_pace_is_that_of_the_last_minutes(store: Store, admin_client: Client) -> None:
    """Ends of the last ten minutes by the minute; over a week, of the last hour."""
    end_runs(store, 20)
    tile = read(admin_client, OVERVIEW).partition('"dd-tile-completed"')[2].partition("</li>")[0]
    assert '<span class="dd-count">2</span> ended per minute' in tile
    assert "last 10 minutes" in tile
    for row in Rollup.objects.order_by("at"):
        Rollup.objects.filter(pk=row.pk).update(at=row.at - timedelta(minutes=15))
    tile = read(admin_client, OVERVIEW).partition('"dd-tile-completed"')[2].partition("</li>")[0]
    assert '<span class="dd-count">0</span>' in tile


def test_the_most_frequent_errors(store: Store, admin_client: Client) -> None:
    """They are told by class and first line, the most frequent first, to those who may view results."""
    for message, number in (("card declined\nby the bank", 2), ("no stock", 1)):
        for run in end_runs(store, number, status="failed"):
            error = {"name": "ValueError", "message": message, "stack": "", "code": ""}
            RunResult.objects.create(run=run, error=json.dumps(error))
    end_runs(store, 0)
    html = read(admin_client, OVERVIEW)
    found = re.findall(r'class="dd-message" href="([^"]+)">([^<]+)</a></th><td class="dd-number">(\d+)', html)
    assert [(line, count) for _url, line, count in found] == [
        ("ValueError: card declined", "2"),
        ("ValueError: no stock", "1"),
    ]
    listed = admin_client.get(found[0][0].replace("&amp;", "&")).content.decode()
    assert "3 shown" in listed
    assert "card declined" not in read(log_in("view_run"), OVERVIEW)


def test_old_figures_say_so(store: Store, admin_client: Client) -> None:
    """When nobody has written figures of late, the page names the time until which they hold."""
    roll_up(store.alias, timezone.now() - timedelta(minutes=7))
    assert "nobody has ticked since" in read(admin_client, OVERVIEW)
    roll_up(store.alias, timezone.now())
    assert "nobody has ticked since" not in read(admin_client, OVERVIEW)


def test_what_needs_somebody(store: Store, admin_client: Client) -> None:
    """Failed, overdue, without code, tried often, queued for long, paused: each line leads to its runs."""
    past = timezone.now() - timedelta(minutes=5)
    make_run(status="failed", workflow="ship&order")
    make_live("queued", queue="reports", wake_at=past)
    make_live("waiting", waits_for="code")
    WorkflowState.objects.create(id="stopped", paused_at=past, paused_by="user:1 ann")
    for failures in (5, 6):
        retried = make_live("waiting", waits_for="retry")
        for number in range(failures):
            Attempt.objects.create(
                run=retried, name="s", number=number, error_type="E", started_at=past, ended_at=past
            )
    Run.objects.filter(queue="reports").update(created_at=past - timedelta(minutes=1))
    html = read(admin_client, OVERVIEW)
    for text in (
        "1 run is still retried",
        "The queue “reports” is slow",
        "1 run of “ship&amp;order” failed",
        "1 run is overdue",
        "1 run waits for code",
        "No live worker serves the queue “reports”",
        "The workflow “stopped” is paused",
    ):
        assert text in html
    lines = html.partition('class="dd-attention"')[2].partition("</ul>")[0]
    links = re.findall(r'<a href="([^"]*durable_django/run/[^"]*)">', lines)
    assert len(links) >= 5
    for link in links:
        assert "1 shown" in admin_client.get(link.replace("&amp;", "&")).content.decode()


def test_what_cannot_be_read_leaves_the_rest(store: Store, admin_client: Client) -> None:
    """A tile whose rows fail shows a dash and the page says why; figures and workers stay."""
    end_runs(store, 3)

    def fail(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "FROM durable_django_run " in sql:
            raise OperationalError("the disk is on fire")
        return run(sql, params, many, context)

    with store.connection.execute_wrapper(fail):
        html = read(admin_client, OVERVIEW)
    assert "What there is now could not be read." in html
    assert html.count('<span class="dd-count">–</span>') == 6
    assert " 3 0 0" in read_table(html, "Runs ended")
    assert "Nothing needs you." not in html
    assert "No runs yet." not in html
    assert "could not be read" not in read(admin_client, OVERVIEW)


def test_a_calm_overview_says_so(store: Store, admin_client: Client) -> None:
    """Without anything to do there is no list of things to do."""
    Worker.objects.create(name="w/1", kind="local", queues="durable")
    make_run()
    assert "Nothing needs you." in read(admin_client, OVERVIEW)


@pytest.mark.parametrize(
    ("name", "most"), [(OVERVIEW, 5), (WORKFLOWS, 4), (WORKERS, 4), (LOG, 4), (HEALTH, 40)]
)
def test_pages_cost_the_same_for_any_number_of_rows(
    store: Store, admin_client: Client, name: str, most: int
) -> None:
    """Their queries are few, and read bounded parts of the large tables."""
    costs = []
    for number in (2, 60):
        for each in range(number):
            make_live("queued", workflow=f"w{each}")
            make_run(status="failed", workflow=f"w{each}")
            Worker.objects.create(name=f"w/{number}/{each}", kind="local", queues=f"q{each}")
            WorkflowState.objects.get_or_create(id=f"w{each}", defaults={"paused_at": timezone.now()})
            AuditEntry.objects.create(actor="user:1 ann", action="cancel", result="cancelled")
        end_runs(store, number)
        admin_client.get(reverse(name))
        with counting(store) as asked:
            read(admin_client, name)
        costs.append(len([sql for sql in asked if sql.startswith("SELECT")]))
    assert costs[0] <= costs[1] <= FLOOR + most
    assert costs[1] - costs[0] <= 1  # a list that fits a page need not be counted


def test_the_page_of_a_workflow_costs_few_queries(store: Store, admin_client: Client) -> None:
    """Seven at the most, for one run and for many."""
    for number in (1, 60):
        end_runs(store, number, workflow="w")
        admin_client.get(reverse(WORKFLOW, args=["w"]))
        with counting(store) as asked:
            read(admin_client, WORKFLOW, "w")
        assert len(asked) <= FLOOR + 7


def test_workflows_with_code_and_without(store: Store, admin_client: Client) -> None:
    """The list has what the code declares, what runs exist of and what is paused, and tells them apart."""

    @workflow(id="nightly", trigger=[Cron("0 3 * * *", tz="Europe/Berlin"), "report/wanted"])
    def nightly(ctx: Any) -> None: ...

    make_live(workflow="gone")
    WorkflowState.objects.create(id="stopped", paused_at=timezone.now(), paused_by="user:1 ann")
    end_runs(store, 3, workflow="nightly")
    end_runs(store, 1, workflow="nightly", status="failed")
    html = read(admin_client, WORKFLOWS)
    rows = {
        row[1]: " ".join(re.sub(r"<[^>]+>", " ", row[0]).split())
        for row in re.findall(r"(<tr data-row>.*?<th[^>]*><a[^>]*>([\w-]+)</a>.*?</tr>)", html, re.DOTALL)
    }
    assert rows["nightly"].startswith(
        "✓ active nightly tests 0 3 * * * Europe/Berlin , report/wanted – 3 completed 1 failed (25 %)"
    )
    failed = Run.objects.get(status="failed")
    assert reverse("admin:durable_django_run_change", args=[failed.pk]) in html
    assert rows["gone"].startswith("⚠ not in the code but runs exist gone – 1 … waiting")
    assert rows["stopped"].startswith("‖ paused stopped")
    assert ">nightly</a>" not in read(admin_client, WORKFLOWS, q="gon")
    assert "No workflow has “zzz” in its name." in read(admin_client, WORKFLOWS, q="zzz")


def test_the_page_of_a_workflow(store: Store, admin_client: Client) -> None:
    """It tells the place of its code, its options, its next times, its figures and its newest runs."""

    @workflow(id="a/nightly", trigger=Cron("0 3 * * *"), retries=7, queue="slow")
    def nightly(ctx: Any) -> None: ...

    run = end_runs(store, 2, workflow="a/nightly")[0]
    from django.contrib.admin.utils import quote

    html = read(admin_client, WORKFLOW, quote("a/nightly"))
    assert "test_console_pages.py" in html
    assert "<dt>retries</dt><dd>7</dd>" in html
    assert html.count("03:00:00</time></li>") == 5
    assert str(run.pk)[-8:] in html
    assert " 2 0 0" in read_table(html, "Runs ended")
    assert "seen by a worker</dt><dd>–" in html
    report_workflows(store.alias)
    assert "seen by a worker</dt><dd><time" in read(admin_client, WORKFLOW, quote("a/nightly"))
    WorkflowState.objects.create(
        id="elsewhere", module="shop.flows.pay", file="/srv/shop/flows.py", line=7, seen_at=timezone.now()
    )
    assert "shop.flows.pay (/srv/shop/flows.py:7)" in read(admin_client, WORKFLOW, "elsewhere")
    assert "not in the code" not in read(admin_client, WORKFLOW, "elsewhere")
    missing = admin_client.get(reverse(WORKFLOW, args=["nobody"]))
    assert missing.status_code == 404
    make_live(workflow="gone")
    assert "1 run exists, but no code that is loaded here declares" in read(admin_client, WORKFLOW, "gone")


def test_workers_queues_and_what_comes_next(store: Store, admin_client: Client) -> None:
    """Who lives, what is lost, what each queue holds, and what is due within a day."""
    now = timezone.now()
    Worker.objects.create(name="alive/1", kind="local", queues="durable,slow")
    Worker.objects.create(name="lost/2", kind="local", queues="durable")
    Worker.objects.filter(name="lost/2").update(seen_at=now - timedelta(minutes=3))
    make_live("running", owner="alive/1", queue="slow")
    make_live("running", owner="lost/2", queue="durable", wake_at=now + timedelta(seconds=25))
    make_live("queued", queue="reports")
    sleeper = make_live("waiting", waits_for="sleep", wake_at=now + timedelta(hours=3))
    make_live("waiting", waits_for="sleep", wake_at=now + timedelta(days=3), workflow="much-later")
    Schedule.objects.create(
        key=sleeper.pk, workflow="nightly", cron="0 3 * * *", tz="UTC", next_at=now + timedelta(hours=5)
    )
    text = " ".join(re.sub(r"<[^>]+>", " ", read(admin_client, WORKERS)).split())
    assert re.search(r"✓ live alive/1 local durable,slow – 1 ", text)
    assert re.search(r"✕ lost lost/2 local durable – 1 ", text)
    assert re.search(r"lost/2 was lost 3m\S* ?\S* ago with 1 run; it is taken over in 2\d", text)
    assert re.search(r"reports 1 \S+ 0 0 none manage.py durable worker -q reports", text)
    assert re.search(r"sleeping w …\w{8} .* schedule nightly 0 3 \* \* \* UTC", text)
    assert "much-later" not in text


def test_without_any_worker(store: Store, admin_client: Client) -> None:
    """The page says how to start one."""
    html = read(admin_client, WORKERS)
    assert "No worker has ever reported." in html
    assert "Nothing is due." in html


def test_the_log_answers_who_and_why(store: Store, admin_user: User, admin_client: Client) -> None:
    """Run, user, workflow, action and result find their rows; a deleted account is still named."""
    run = make_live(workflow="ship")
    ann = User.objects.create_user("ann", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(ann)
    page = reverse("admin:durable_django_run_cancel", args=[run.pk])
    mark = re.search(r'name="mark" value="([^"]+)"', client.get(page).content.decode())
    assert mark is not None
    client.post(page, {"mark": mark[1], "seen": "waiting", "reason": "ordered twice"})
    AuditEntry.objects.create(actor="user:99 bob", action="retry", result="denied")
    AuditEntry.objects.create(actor="user:99 bob", action="retry", result="refused: completed")
    key = ann.pk
    ann.delete()
    for query, found in (
        ({"q": str(run.pk)}, 1),
        ({"q": "ann"}, 1),
        ({"q": f"user:{key}"}, 1),
        ({"q": "ship"}, 1),
        ({"q": "an"}, 0),
        ({"q": "bob"}, 2),
        ({"action": "cancel"}, 1),
        ({"result": "denied"}, 1),
        ({"result": "refused"}, 1),
        ({"result": "done"}, 1),
        ({"age": "1h"}, 3),
    ):
        html = read(admin_client, LOG, **query)
        rows = re.findall(r'<tr><td class="action-checkbox">|<tr><th', html.partition("<tbody>")[2])
        assert len(rows) == found, query
        if found == 1 and "cancel" in query.values():
            assert "ordered twice" in html
            assert f"user:{key} ann" in html
    tab = admin_client.get(reverse("admin:durable_django_run_change", args=[run.pk]), {"tab": "log"})
    assert f"user:{key} ann" in tab.content.decode()


def test_the_log_cannot_be_deleted(store: Store, admin_client: Client) -> None:
    """No action and no page lets anybody, superusers included, take a row away."""
    entry = AuditEntry.objects.create(actor="user:1 ann", action="cancel")
    delete = reverse("admin:durable_django_auditentry_delete", args=[entry.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}
    admin_client.post(reverse(LOG), data)
    assert AuditEntry.objects.count() == 1


def test_the_health_page_checks_the_data_on_demand(store: Store, admin_client: Client) -> None:
    """The doctor's findings are always there; a POST also proves the stored data, or names what is wrong."""
    forget_figures(store.alias)  # or it names the dead rows of a test before this one
    html = read(admin_client, HEALTH)
    assert "migrations" in html
    assert "nobody has ticked yet" in html
    assert "Check the data now" in html
    checked = admin_client.post(reverse(HEALTH)).content.decode()
    assert "promises were checked and hold." in checked
    Step.objects.create(run_id=new_id(), name="orphan", kind="run", status="completed", output="1")
    broken = admin_client.post(reverse(HEALTH)).content.decode()
    assert "orphan" in broken
    assert "promises were checked and hold." not in broken
    assert log_in("view_run").get(reverse(HEALTH)).status_code == 403


def test_the_console_has_its_own_navigation(store: Store, admin_client: Client) -> None:
    """Each page leads to the others that the user may see, and marks where one is."""
    html = read(admin_client, OVERVIEW)
    nav = html.partition("dd-sections")[2].partition("</nav>")[0]
    for name in (OVERVIEW, WORKFLOWS, WORKERS, LOG, HEALTH):
        assert f'href="{reverse(name)}"' in nav
    assert f'href="{reverse(OVERVIEW)}" aria-current="page"' in nav
    assert nav.count("aria-current") == 1
    few = read(log_in("view_run"), OVERVIEW).partition("dd-sections")[2].partition("</nav>")[0]
    assert reverse(LOG) not in few


def test_a_cancelled_run_names_who_cancelled_it(store: Store) -> None:
    """The reason on the run carries the name too."""
    run = make_live()
    cancel_run(run.pk, actor="user:7 ann")
    run.refresh_from_db()
    assert run.reason == "cancelled by user:7 ann"
