"""Bulk operations in the admin: from a list to a question, to an operation, to its progress."""

from __future__ import annotations

import csv
import json
import re
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from durable_django import workflow
from durable_django.admin import bulk_export
from durable_django.engine.bulk import start_bulk
from durable_django.ids import new_id
from durable_django.models import Attempt, AuditEntry, BulkOperation, Event, Run, RunResult
from durable_django.testing import drain
from tests.plugins.store import Store

NEW = "admin:durable_django_bulk_new"
FLOOR = 2
"""Session and user."""


@pytest.fixture
def waiting(store: Store) -> Any:
    @workflow(id="waiting")
    def waiting(ctx: Any) -> Any:
        event = ctx.step.wait_for_event("w", event="w/go", timeout="1 day")
        return event and event.data

    return waiting


def make_runs(count: int, **fields: Any) -> list[Run]:
    event = Event.objects.create(name="a/b", ts=1)
    fields = {"workflow": "w", "queue": "q", "status": "failed", "ended_at": timezone.now(), **fields}
    return Run.objects.bulk_create(Run(id=new_id(), event=event, **fields) for _ in range(count))


def log_in(*permissions: str) -> Client:
    user = User.objects.create_user(f"user{uuid4().hex[:8]}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def read_form(html: str) -> dict[str, str]:
    """Return the hidden fields of the page."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', html)
    return {name: unescape(value) for name, value in found if name != "csrfmiddlewaretoken"}


def ask(client: Client, query: str) -> tuple[str, str]:
    url = f"{reverse(NEW)}?{query}"
    answer = client.get(url)
    assert answer.status_code == 200, answer
    return url, answer.content.decode()


def test_from_the_list_to_the_operation_and_its_page(
    store: Store, admin_client: Client, waiting: Any
) -> None:
    """The link below the list leads to a question with the number, and its answer starts the operation."""
    runs = [waiting.start() for _ in range(3)]
    listed = admin_client.get(reverse("admin:durable_django_run_changelist"), {"status": "waiting"})
    link = re.search(r'href="([^"]+bulkoperation/new/[^"]*)"', listed.content.decode())
    assert link is not None
    choice = admin_client.get(unescape(link[1])).content.decode()
    cancel = re.search(r'href="([^"]+action=cancel[^"]*)"', choice)
    assert cancel is not None
    url = unescape(cancel[1])
    html = admin_client.get(url).content.decode()
    assert "Cancel 3 runs?" in html
    assert "What is created after" in html
    assert all(run.id in html for run in runs)
    answer = admin_client.post(url, {**read_form(html), "reason": "wrong price"})
    bulk = BulkOperation.objects.get()
    assert answer["Location"] == reverse("admin:durable_django_bulkoperation_change", args=[bulk.pk])
    assert (bulk.action, bulk.matched, bulk.reason) == ("cancel", 3, "wrong price")
    assert bulk.filter["status"] == ["waiting"]
    assert "since" in bulk.filter  # the list's last 24 hours, as an instant
    late = waiting.start()
    drain()
    assert {run.status for run in runs} == {"cancelled"}
    assert late.status == "waiting"
    page = admin_client.get(answer["Location"]).content.decode()
    assert "3 done, 0 left alone, 0 failed, of 3." in page
    assert "wrong price" in page


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("created=all&workflow=w", {"workflow": "w"}),
        ("created=all&status=failed,cancelled", {"status": ["failed", "cancelled"]}),
        ("created=all&queue=q&version=v1&top=1&origin=cron,event", {"queue": "q", "top_level": True}),
        ("created=all&error=ValueError&attempts=2&children=1", {"error": "ValueError", "attempts": 2}),
        ("q=order-7", {"key": "order-7"}),
        ("from=2026-01-31T08:00&status=failed", {"since": "2026-01-31T08:00:00+00:00"}),
    ],
)
def test_filters_of_the_list_are_kept(
    store: Store, admin_client: Client, query: str, chosen: dict[str, Any]
) -> None:
    """What the list shows is what the operation is about."""
    run = make_runs(2, key="order-7", version="v1", origin="cron")[0]
    make_runs(1, parent_id=run.id)
    RunResult.objects.create(run=run, error='{"name": "ValueError", "message": "no"}')
    now = timezone.now()
    Attempt.objects.create(run=run, number=2, error_type="ValueError", started_at=now, ended_at=now)
    url, html = ask(admin_client, f"action=rerun&{query}")
    form = read_form(html)
    admin_client.post(url, form)
    stored = BulkOperation.objects.get().filter
    assert chosen.items() <= stored.items()


@pytest.mark.parametrize("query", ["nonsense=1", "late=1", "q=order*", "q=input.a%3D1", "from=yesterday"])
def test_a_filter_that_is_not_known_starts_nothing(store: Store, admin_client: Client, query: str) -> None:
    """It is refused, so that no operation is larger than the list was."""
    make_runs(2)
    url = f"{reverse(NEW)}?action=rerun&{query}"
    answer = admin_client.get(url, follow=True)
    assert "Nothing can be started" in answer.content.decode()
    for chosen in ("", "[]", "nonsense", '{"all": true}'):
        admin_client.post(url, {"chosen": chosen, "mark": "x"})
    assert not BulkOperation.objects.exists()


def test_many_rows_want_their_number_typed(store: Store, admin_client: Client) -> None:
    """Above a hundred the operator types the number that the page shows; anything else starts nothing."""
    make_runs(101)
    url, html = ask(admin_client, "action=retry&created=all")
    assert "Retry 101 runs?" in html
    assert "Type 101 to go on." in html
    form = read_form(html)
    for typed in ("", "100", "many"):
        again = admin_client.post(url, {**form, "typed": typed})
        assert again.status_code == 200
        form = read_form(again.content.decode())
    assert not BulkOperation.objects.exists()
    assert admin_client.post(url, {**form, "typed": "101"}).status_code == 302
    assert BulkOperation.objects.get().matched == 101


def test_a_form_starts_one_operation(store: Store, admin_client: Client) -> None:
    """A second click does nothing."""
    make_runs(2)
    url, html = ask(admin_client, "action=retry&created=all")
    form = read_form(html)
    for _ in range(2):
        assert admin_client.post(url, form).status_code == 302
    assert BulkOperation.objects.count() == 1


def test_a_start_costs_six_queries_at_most(store: Store, admin_client: Client) -> None:
    """Whatever matches: nothing is counted by the POST; session, mark and message aside."""
    counts = []
    for rows in (5, 60):
        make_runs(rows)
        url, html = ask(admin_client, "action=retry&created=all")
        with capture(store) as asked:
            assert admin_client.post(url, read_form(html)).status_code == 302
        ours = [sql for sql in asked if "durable_django" in sql or "STATEMENT_TIMESTAMP" in sql]
        counts.append((len(asked), len(ours)))
    assert counts[0] == counts[1]
    assert counts[0][1] <= 6


class capture:
    """Collects the statements on both databases."""

    def __init__(self, store: Store) -> None:
        self.captures = [CaptureQueriesContext(connections[alias]) for alias in {"default", store.alias}]

    def __enter__(self) -> list[str]:
        self.asked: list[str] = []
        for each in self.captures:
            each.__enter__()
        return self.asked

    def __exit__(self, *exception: Any) -> None:
        for each in self.captures:
            each.__exit__(None, None, None)
            self.asked += [query["sql"] for query in each]


def test_stop_and_continue(store: Store, admin_client: Client, waiting: Any) -> None:
    """The page has the button that fits its state; each asks first, and both are in the log."""
    run = waiting.start()
    bulk = start_bulk("cancel", {"workflow": "waiting"}, actor="user:1")
    page_url = reverse("admin:durable_django_bulkoperation_change", args=[bulk.pk])
    for verb, word in (("stop", "stopped"), ("continue", "running")):
        page = admin_client.get(page_url).content.decode()
        url = reverse(f"admin:durable_django_bulk_{verb}", args=[bulk.pk])
        assert url in page
        html = admin_client.get(url).content.decode()
        answer = admin_client.post(url, {**read_form(html), "reason": "because"})
        assert answer["Location"] == page_url
        bulk.refresh_from_db()
        assert bulk.state == word
        if verb == "stop":
            drain()
            assert run.status == "waiting"
            assert "Nothing was done" in admin_client.get(url, follow=True).content.decode()
    drain()
    assert run.status == "cancelled"
    actions = set(AuditEntry.objects.filter(reason="because").values_list("action", flat=True))
    assert actions == {"bulk stop", "bulk continue"}


def test_waits_are_resolved_in_bulk(store: Store, admin_client: Client, waiting: Any) -> None:
    """From the list of waits all open ones of an event get a value; a mistake in the JSON starts nothing."""
    runs = [waiting.start() for _ in range(2)]
    listed = admin_client.get(reverse("admin:durable_django_wait_changelist")).content.decode()
    assert "of=wait" in listed
    url, html = ask(admin_client, "action=resolve&q=w/go")
    assert "Resolve 2 waits?" in html
    wrong = admin_client.post(url, {**read_form(html), "value": "{"}).content.decode()
    assert "not valid JSON" in wrong
    assert not BulkOperation.objects.exists()
    admin_client.post(url, {**read_form(wrong), "value": '{"n": 7}'})
    drain()
    assert [run.result(timeout=5) for run in runs] == [{"n": 7}] * 2


VIEW = ("view_run", "view_bulkoperation", "view_auditentry")


def test_a_cancellation_asks_for_the_children(store: Store, admin_client: Client, waiting: Any) -> None:
    """The form of a cancellation has the choice, its page tells it; no other action asks."""

    @workflow(id="parent")
    def parent(ctx: Any) -> Any:
        return ctx.step.invoke("child", function=waiting, timeout="1d")

    parent.start()
    assert 'name="children"' not in ask(admin_client, "action=rerun&workflow=parent")[1]
    url, html = ask(admin_client, "action=cancel&workflow=parent")
    assert 'name="children"' in html
    answer = admin_client.post(url, {**read_form(html), "children": "yes"}, follow=True)
    drain()
    assert list(Run.objects.values_list("status", flat=True)) == ["cancelled", "cancelled"]
    assert "cancelled too" in answer.content.decode()


def export(client: Client, bulk: BulkOperation, kind: str = "csv") -> Any:
    url = reverse("admin:durable_django_bulk_export", args=[bulk.pk])
    assert client.get(url).status_code == 405
    return client.post(url, {"format": kind})


def test_a_result_is_exported(store: Store, admin_client: Client, waiting: Any, monkeypatch: Any) -> None:
    """The file has what became of each row, page by page; no cell is a formula; who took it is noted."""
    monkeypatch.setattr(bulk_export, "CHUNK", 2)
    runs = [waiting.start() for _ in range(5)]
    bulk = start_bulk("cancel", {"workflow": "waiting"}, actor="ann", reason="=1+1")
    drain()
    answer = export(admin_client, bulk)
    rows = list(csv.DictReader(answer.getvalue().decode().splitlines()))
    assert [row["run_id"] for row in rows] == [run.id for run in runs]
    assert {(row["action"], row["result"], row["reason"]) for row in rows} == {
        ("cancel", "cancelled", "'=1+1")
    }
    lines = [json.loads(line) for line in export(admin_client, bulk, "jsonl").getvalue().splitlines()]
    assert [line["run_id"] for line in lines] == [run.id for run in runs]
    assert lines[0]["reason"] == "=1+1"
    entries = AuditEntry.objects.filter(action="export").order_by("id")
    assert [(entry.bulk_id, entry.result) for entry in entries] == [
        (bulk.pk, f"csv, the result of bulk operation {bulk.pk}"),
        (bulk.pk, f"jsonl, the result of bulk operation {bulk.pk}"),
    ]
    page = admin_client.get(reverse("admin:durable_django_bulkoperation_change", args=[bulk.pk]))
    assert reverse("admin:durable_django_bulk_export", args=[bulk.pk]) in page.content.decode()
    assert admin_client.post(reverse("admin:durable_django_bulk_export", args=[10**6])).status_code == 404


@pytest.mark.parametrize("lacking", ["export_run", "view_auditentry", "view_bulkoperation"])
def test_an_export_needs_its_permissions(store: Store, waiting: Any, lacking: str) -> None:
    """Whoever may not see the log or not export gets no file, and the attempt is noted."""
    bulk = start_bulk("cancel", {"workflow": "waiting"}, actor="ann")
    needed = {"export_run", "view_auditentry", "view_bulkoperation"}
    assert export(log_in(*needed - {lacking}), bulk).status_code == 403
    assert AuditEntry.objects.get(action="export").result == "denied"
    assert export(log_in(*needed), bulk).status_code == 200


@pytest.mark.parametrize("missing", ["bulk_operate", "cancel_run", "view_run"])
def test_each_permission_is_needed(store: Store, waiting: Any, missing: str) -> None:
    """Without one of them there is no link, the page is 403, and a POST is 403 and in the log."""
    waiting.start()
    given = {*VIEW, "bulk_operate", "cancel_run"} - {missing}
    client = log_in(*given)
    url = f"{reverse(NEW)}?action=cancel&created=all"
    assert client.get(url).status_code == 403
    assert client.post(url, {"chosen": '{"workflow": "waiting"}'}).status_code == 403
    assert not BulkOperation.objects.exists()
    assert AuditEntry.objects.get().result == "denied"
    if missing != "view_run":
        listed = client.get(reverse("admin:durable_django_run_changelist")).content.decode()
        assert "bulkoperation/new" not in listed


def test_a_viewer_sees_and_cannot_act(store: Store, waiting: Any) -> None:
    """Those who may only view see list and page without buttons, and cannot stop."""
    bulk = start_bulk("cancel", {"workflow": "waiting"}, actor="user:1")
    client = log_in(*VIEW)
    assert client.get(reverse("admin:durable_django_bulkoperation_changelist")).status_code == 200
    page = client.get(reverse("admin:durable_django_bulkoperation_change", args=[bulk.pk])).content.decode()
    stop = reverse("admin:durable_django_bulk_stop", args=[bulk.pk])
    assert stop not in page
    assert client.post(stop).status_code == 403
    bulk.refresh_from_db()
    assert bulk.state == "running"


def test_the_page_tells_what_was_left_alone(store: Store, admin_client: Client, waiting: Any) -> None:
    """Rows that were refused stand on the page with their reason; the log shows all of the operation."""
    waiting.start()
    bulk = start_bulk("cancel", {"workflow": "waiting"}, actor="user:1")
    AuditEntry.objects.create(
        actor="user:1", action="cancel", bulk_id=bulk.pk, result="refused: it has ended"
    )
    AuditEntry.objects.create(actor="user:1", action="cancel", result="refused: another story")
    BulkOperation.objects.update(skipped=1)
    url = reverse("admin:durable_django_bulkoperation_change", args=[bulk.pk])
    page = admin_client.get(url).content.decode()
    assert "refused: it has ended" in page
    assert "another story" not in page
    log = admin_client.get(reverse("admin:durable_django_auditentry_changelist"), {"bulk": bulk.pk})
    assert "refused: it has ended" in log.content.decode()
    assert "another story" not in log.content.decode()


def test_the_fragment_is_news_or_204(store: Store, admin_client: Client, waiting: Any) -> None:
    """A poll without news is one query and 204; progress is sent, and the end stops the polls."""
    waiting.start()
    bulk = start_bulk("cancel", {"workflow": "waiting"}, actor="user:1")
    url = reverse("admin:durable_django_bulk_live", args=[bulk.pk])
    first = admin_client.get(url)
    assert first["X-Durable-Live"] == "on"
    with capture(store) as asked:
        assert admin_client.get(url, {"rev": first["X-Durable-Revision"]}).status_code == 204
    assert len(asked) == FLOOR + 1
    drain()
    last = admin_client.get(url, {"rev": first["X-Durable-Revision"]})
    assert (last.status_code, last["X-Durable-Live"]) == (200, "off")
    assert Client().get(url).status_code == 401


def test_an_operation_that_is_not_stored(store: Store, admin_client: Client) -> None:
    """Its page is a 404 that says so."""
    answer = admin_client.get(reverse("admin:durable_django_bulkoperation_change", args=["77"]))
    assert answer.status_code == 404


def test_nobody_carries_it_out(store: Store, admin_client: Client) -> None:
    """A running operation that no worker has is told as such."""
    bulk = start_bulk("cancel", {"workflow": "w"}, actor="user:1")
    BulkOperation.objects.filter(pk=bulk.pk).update(changed_at="2020-01-01T00:00:00Z")
    url = reverse("admin:durable_django_bulkoperation_change", args=[bulk.pk])
    assert "No worker carries it out" in admin_client.get(url).content.decode()


def test_lists_cost_the_same_for_any_number(store: Store, admin_client: Client) -> None:
    """Four queries above the floor at most."""

    def cost() -> int:
        with capture(store) as asked:
            html = admin_client.get(reverse("admin:durable_django_bulkoperation_changelist"))
        assert html.status_code == 200
        return sum(sql.startswith("SELECT") for sql in asked)

    start_bulk("cancel", {"workflow": "w"}, actor="user:1")
    few = cost()
    for _ in range(60):
        start_bulk("cancel", {"workflow": "w"}, actor="user:1")
    assert cost() <= max(few, FLOOR + 4)
