"""What the screens of the console ask of the database, and what they do with a lot of rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from durable_django import workflow
from durable_django.ids import new_id
from durable_django.models import Attempt, Event, Run, RunResult, Step, Wait
from tests.plans import list_whole
from tests.plugins.store import Store

LIST = "admin:durable_django_run_changelist"
PAGE = "admin:durable_django_run_change"
FLOOR = 2
"""Session and user."""


@pytest.fixture
def asking() -> Any:
    @workflow(id="asking")
    def asking(ctx: Any) -> None:
        ctx.step.run("prepare", lambda: 1)
        ctx.step.wait_for_event("answer", event="an/answer", timeout="1 day")

    return asking


@contextmanager
def counting(store: Store) -> Iterator[list[str]]:
    asked: list[str] = []
    captures = [CaptureQueriesContext(connections[alias]) for alias in {"default", store.alias}]
    for capture in captures:
        capture.__enter__()
    yield asked
    for capture in captures:
        capture.__exit__(None, None, None)
        asked += [query["sql"] for query in capture]


def make_runs(count: int, **fields: Any) -> list[Run]:
    event = Event.objects.create(name="a/b", ts=1)
    fields = {"workflow": "w", "queue": "q", "status": "completed", "ended_at": timezone.now(), **fields}
    return Run.objects.bulk_create(Run(id=new_id(), event=event, **fields) for _ in range(count))


def test_the_page_of_a_waiting_run_costs_few_queries(store: Store, admin_client: Client, asking: Any) -> None:
    """Nine at the most; more than a page of steps cost one more, their sum, and ten thousand no more than that."""
    run = asking.start()
    url = reverse(PAGE, args=[run.id])
    admin_client.get(url)
    with counting(store) as few:
        admin_client.get(url)
    Step.objects.bulk_create(
        Step(run_id=run.id, name="loop", index=number, kind="run", status="completed")
        for number in range(9_000)
    )
    with counting(store) as many:
        html = admin_client.get(url).content
    assert len(many) == len(few) + 1 <= FLOOR + 9
    assert len(html) < 150_000


def test_a_poll_without_news_costs_one_query(store: Store, admin_client: Client, asking: Any) -> None:
    """It answers 204, and 200 with a new revision once something happened; nobody may store it."""
    run = asking.start()
    url = reverse("admin:durable_django_run_live", args=[run.id])
    first = admin_client.get(url)
    assert first["X-Durable-Live"] == "on"
    query = {"rev": first["X-Durable-Revision"]}
    with counting(store) as asked:
        second = admin_client.get(url, query)
    assert (second.status_code, second["Cache-Control"]) == (204, "no-store")
    assert len(asked) == FLOOR + 1
    Step.objects.create(run_id=run.id, name="more", kind="run", status="completed")
    third = admin_client.get(url, query)
    assert third.status_code == 200
    assert third["X-Durable-Revision"] != query["rev"]
    assert b"<html" not in third.content


@pytest.mark.parametrize("state", ["queued", "running", "waiting", "sleeping", "retrying", "child", "failed"])
def test_a_poll_with_news_costs_six_queries_at_most(store: Store, admin_client: Client, state: str) -> None:
    """Whatever the run does, and with a failed step, a child and a sleep beside it."""
    now, soon = timezone.now(), timezone.now() + timedelta(hours=1)
    later = soon + timedelta(hours=1)
    status = state if state in ("queued", "running", "failed") else "waiting"
    live = {} if status == "failed" else {"ended_at": None, "wake_at": soon}
    waits_for = {"sleeping": "sleep", "retrying": "retry", "waiting": "event", "child": "child"}.get(
        state, ""
    )
    run = make_runs(1, status=status, waits_for=waits_for, **live)[0]
    if status == "failed":
        RunResult.objects.create(run=run, error=json.dumps({"name": "E", "message": "no", "stack": ""}))
    kinds = {"sleeping": "sleep", "retrying": "run", "waiting": "event", "child": "invoke"}
    for code, kind in kinds.items():
        Step.objects.create(
            run=run,
            name=code,
            kind=kind,
            status="retrying" if code == "retrying" else "waiting",
            attempt=int(code == "retrying"),
            ready_at=soon if code == state else later,
        )
    Wait.objects.create(run=run, name="waiting", kind="event", event_name="a/b", expires_at=soon)
    Attempt.objects.create(run=run, name="retrying", number=0, error_type="E", started_at=now, ended_at=now)
    make_runs(1, status="queued", ended_at=None, wake_at=soon, parent_id=run.pk, parent_step="child")
    url = reverse("admin:durable_django_run_live", args=[run.pk])
    admin_client.get(url)
    with counting(store) as asked:
        answer = admin_client.get(url)
    html = answer.content.decode()
    assert all(f">{code}<" in html for code in kinds)
    assert len(asked) <= FLOOR + 6, asked
    cause = {"waiting": "event"}.get(state, state)
    assert f'data-cause="{cause}"' in html or state in ("queued", "running", "failed")


def test_the_list_goes_by_keys(store: Store, admin_client: Client) -> None:
    """Older and newer pages follow one another without a gap, and rows that come meanwhile move nothing."""
    runs = sorted((str(run.pk) for run in make_runs(120)), reverse=True)
    url = reverse(LIST)
    html = admin_client.get(url).content.decode()
    assert read_ids(html) == runs[:50]
    assert ">1–50 of 120<" in html
    assert "Newer" not in html
    second = admin_client.get(url + follow(html, "next")).content.decode()
    make_runs(3)
    assert read_ids(second) == runs[50:100]
    assert ">51–100 of 120<" in second
    third = admin_client.get(url + follow(second, "next")).content.decode()
    assert read_ids(third) == runs[100:]
    assert 'rel="next"' not in third
    assert ">101–120 of 123<" in third
    back = admin_client.get(url + follow(third, "prev")).content.decode()
    assert read_ids(back) == runs[50:100]
    assert ">51–100 of 123<" in back
    bare = admin_client.get(url, {"older": runs[49]}).content.decode()
    assert ">50 shown of 123<" in bare


def read_ids(html: str) -> list[str]:
    return re.findall(r'<code class="dd-nowrap" title="([^"]+)"', html)


def follow(html: str, rel: str) -> str:
    link = re.search(rf'href="([^"]+)" rel="{rel}"', html)
    assert link is not None
    return link[1].replace("&amp;", "&")


def test_the_range_ends_a_list(store: Store, admin_client: Client) -> None:
    """Without a choice runs of the last day are listed; the count and the rows stay two queries."""
    new, old = make_runs(1)[0], make_runs(1)[0]
    Run.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))
    url = reverse(LIST)
    assert read_ids(admin_client.get(url).content.decode()) == [str(new.pk)]
    found = admin_client.get(url, {"created": "7d"}).content.decode()
    assert read_ids(found) == sorted((str(old.pk), str(new.pk)), reverse=True)
    assert len(read_ids(admin_client.get(url, {"created": "all"}).content.decode())) == 2
    assert len(read_ids(admin_client.get(url, {"created": "nonsense"}).content.decode())) == 1


def test_states_add_up(store: Store, admin_client: Client) -> None:
    """Several states may be chosen; a finer word finds its runs only; each choice can be taken back."""
    soon = timezone.now() + timedelta(hours=1)
    failed = make_runs(1, status="failed")[0]
    asleep = make_runs(1, status="waiting", waits_for="sleep", wake_at=soon, ended_at=None)[0]
    waits = make_runs(1, status="waiting", waits_for="event", wake_at=soon, ended_at=None)[0]
    make_runs(1)
    url = reverse(LIST)
    for status, wanted in {
        "failed": [failed],
        "sleeping": [asleep],
        "waiting": [waits],
        "failed,sleeping": [asleep, failed],
        "nonsense": [],
    }.items():
        html = admin_client.get(url, {"status": status}).content.decode()
        assert read_ids(html) == [str(run.pk) for run in wanted]
    html = admin_client.get(url, {"status": "failed,sleeping"}).content.decode()
    assert 'href="?status=failed"' in html
    assert "status=failed%2Csleeping%2Ccancelled" in html


@pytest.mark.parametrize(
    "query",
    [{"status": "failed"}, {"q": "order-1"}, {"workflow": "w"}, {}, {"status": "failed", "workflow": "w"}],
)
def test_no_list_reads_the_whole_table(store: Store, admin_client: Client, query: dict[str, str]) -> None:
    """Each filter and search is answered by an index."""
    for run in (runs := make_runs(2_000)):
        run.key = f"order-{run.id}"
    Run.objects.bulk_update(runs, ["key"], batch_size=500)
    with store.connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with counting(store) as asked:
        assert admin_client.get(reverse(LIST), query).status_code == 200
    rows = [sql for sql in asked if 'FROM "durable_django_run"' in sql and "LIMIT 51" in sql]
    assert len(rows) == 1
    assert list_whole(store, rows[0]) == []


def test_the_overview_costs_the_same_for_any_number_of_runs(store: Store, admin_client: Client) -> None:
    """It counts no further than a bound."""
    url = reverse("admin:durable_django_overview")
    make_runs(1, status="failed")
    admin_client.get(url)
    with counting(store) as few:
        admin_client.get(url)
    make_runs(300, status="failed")
    with counting(store) as many:
        html = admin_client.get(url).content.decode()
    reads = [[sql for sql in asked if sql.startswith("SELECT")] for asked in (few, many)]
    assert len(reads[0]) == len(reads[1]) <= FLOOR + 5
    assert "301 runs of “w” failed" in html
    assert all("LIMIT" in sql for sql in many if 'FROM "durable_django_run"' in sql)


def test_no_step_yet_is_told_with_the_wait(store: Store, admin_client: Client) -> None:
    """A queued run says since when it waits; a list of failed steps without any, what there is instead."""
    run = make_runs(1, status="queued", ended_at=None, wake_at=timezone.now())[0]
    url = reverse(PAGE, args=[run.pk])
    html = admin_client.get(url).content.decode()
    assert re.search(r"No step has started\. The run has been queued for \d", html)
    for number in range(2):
        Step.objects.create(run=run, name=f"s{number}", kind="run", status="completed")
    html = admin_client.get(url, {"only": "failed"}).content.decode()
    assert re.search(r"No failed step\. <a [^>]+>Show all 2\.</a>", html)


def test_a_run_that_is_not_stored(store: Store, admin_client: Client) -> None:
    """Its page says so, and how long runs are kept; so does that of a word that is no id."""
    for key in (str(new_id()), "nonsense"):
        answer = admin_client.get(reverse(PAGE, args=[key]))
        assert answer.status_code == 404
        assert f"Run {key} is not stored" in answer.content.decode()
        assert "30 days" in answer.content.decode()


@pytest.mark.parametrize(
    "query", ["status=scheduled&created=all", "q=nothing-like-it", "status=failed&workflow=w"]
)
def test_a_list_that_is_empty_costs_no_more(store: Store, admin_client: Client, query: str) -> None:
    """What it tells instead of rows, whether there are any runs and when the last one was, is one query."""
    make_runs(3)
    Run.objects.update(created_at=timezone.now() - timedelta(days=3))
    with counting(store) as asked:
        html = admin_client.get(f"{reverse(LIST)}?{query}").content.decode()
    assert "No run matches" in html
    assert len([sql for sql in asked if sql.startswith("SELECT")]) <= FLOOR + 4


@pytest.mark.parametrize(
    "query", ["", "ends=24h", "ends=overdue", "age=1h", "kind=sleep&ends=24h", "kind=sleep&age=1h"]
)
def test_filters_of_waits_share_the_instant(
    store: Store, admin_client: Client, asking: Any, query: str
) -> None:
    """However many columns and filters compare with the database's time, it is asked for once."""
    asking.start()
    with counting(store) as asked:
        assert (
            admin_client.get(f"{reverse('admin:durable_django_wait_changelist')}?{query}").status_code == 200
        )
    assert len([sql for sql in asked if sql.startswith("SELECT")]) <= FLOOR + 4
