"""The list of runs: what finds which rows, what is said when there are none, views, export and news."""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from durable_django import workflow
from durable_django.admin import run_export, run_list
from durable_django.admin.run_filters import find_key
from durable_django.admin.run_views import SYSTEM
from durable_django.ids import new_id
from durable_django.models import Attempt, AuditEntry, Event, Run, RunResult, SavedView, Wait
from durable_django.store.time_limit import TimeLimitReached, time_limit
from tests.acceptance.test_console_costs import FLOOR, counting, follow, make_runs, read_ids
from tests.plans import list_reads, list_whole
from tests.plugins.store import Store

LIST = "admin:durable_django_run_changelist"
EXPORT = "admin:durable_django_run_export"
NEWS = "admin:durable_django_run_news"


def log_in(*permissions: str) -> Client:
    user = User.objects.create_user(f"user{uuid4().hex[:8]}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    client = Client()
    client.force_login(user)
    return client


def find(client: Client, **query: Any) -> set[str]:
    return set(read_ids(client.get(reverse(LIST), query).content.decode()))


def count_reads(asked: list[str]) -> int:
    return sum(sql.startswith("SELECT") for sql in asked)


def make_run(data: str = "{}", age: timedelta = timedelta(0), **fields: Any) -> Run:
    if age:
        born = timezone.now() - age
        key = UUID(int=find_key(born).int + secrets.randbits(32))
        run = make_run(data, **{**fields, "id": key})
        Run.objects.filter(pk=key).update(created_at=born)
        return run
    event = Event.objects.create(name="a/b", ts=1, data=data)
    fields = {"workflow": "w", "queue": "q", "status": "completed", "ended_at": timezone.now(), **fields}
    return Run.objects.create(**{"id": new_id(), "event": event, **fields})


def make_live(status: str = "waiting", **fields: Any) -> Run:
    soon = timezone.now() + timedelta(hours=1)
    return make_run(**{"status": status, "ended_at": None, "wake_at": soon, **fields})


def name(*runs: Run) -> set[str]:
    return {str(run.pk) for run in runs}


def test_a_range_of_ones_own(store: Store, admin_client: Client) -> None:
    """It has a begin, an end or both; it is shown as chosen, and a day that does not exist is no range."""
    age = timedelta(hours=30)
    old, new, begin = make_run(age=age), make_run(), timezone.now() - age
    before, after = (f"{begin + timedelta(hours=hours):%Y-%m-%dT%H:%M}" for hours in (-1, 1))
    assert find(admin_client, **{"from": before}) == name(old, new)
    assert find(admin_client, **{"from": before, "until": after}) == name(old)
    assert find(admin_client, until=after) == name(old)
    assert find(admin_client, **{"from": after, "created": "1h"}) == name(new)
    assert find(admin_client, **{"from": "2026-02-31T10:00"}) == name(new)
    html = admin_client.get(reverse(LIST), {"from": before, "until": after}).content.decode()
    assert f"{before.replace('T', ' ')} – {after.replace('T', ' ')}" in html
    assert f'value="{before}"' in html


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("input.customer.id=42", "number"),
        ('input.customer.id="42"', "text"),
        ("input.customer.name=Ann Lee", "text"),
        ("input.items.1=b", "list"),
        ("input.flag=true", "flag"),
        ("input.flag=null", "nothing"),
        ("input.customer.id=43", ""),
        ("input.customer=42", ""),
        ("input.a-b.c d=1", "names"),
    ],
)
def test_exact_values_of_the_input(store: Store, admin_client: Client, term: str, found: str) -> None:
    """A path and a value find what has just that there: a number is no text, a part is no whole."""
    runs = {
        "number": make_run('{"customer": {"id": 42}}'),
        "text": make_run('{"customer": {"id": "42", "name": "Ann Lee"}}'),
        "list": make_run('{"items": ["a", "b"]}'),
        "flag": make_run('{"flag": true}'),
        "nothing": make_run('{"flag": null}'),
        "names": make_run('{"a-b": {"c d": 1}}'),
        "nul": make_run('{"text": "\\u0000"}'),
    }
    assert find(admin_client, q=term) == (name(runs[found]) if found else set())


def test_a_search_in_payloads_needs_the_permission(store: Store) -> None:
    """Whoever may not see payloads may not guess them either, on the list and in news and export."""
    make_run('{"pin": 1234}')
    query = {"q": "input.pin=1234"}
    viewer = log_in("view_run", "export_run")
    html = viewer.get(reverse(LIST), query).content.decode()
    assert "you need the permission “Can view payloads”" in html
    assert read_ids(html) == []
    assert viewer.get(reverse(NEWS), query).status_code == 204
    assert viewer.post(f"{reverse(EXPORT)}?q=input.pin%3D1234", {"format": "csv"}).status_code == 302
    assert len(find(log_in("view_run", "view_payload"), **query)) == 1


def test_a_search_with_the_index_asks_it(store: Store, admin_client: Client) -> None:
    """On PostgreSQL the index of the documents answers at any size."""
    if store.vendor != "postgresql":
        pytest.skip("SQLite has no such index")
    from durable_django.store.payload_search import PAYLOAD_INDEX

    events = Event.objects.bulk_create(
        Event(name="a/b", ts=1, data=json.dumps({"customer": {"id": number}})) for number in range(3_000)
    )
    done = timezone.now()
    Run.objects.bulk_create(
        Run(id=new_id(), event=event, workflow="w", queue="q", status="completed", ended_at=done)
        for event in events
    )
    with store.connection.cursor() as cursor:
        cursor.execute(PAYLOAD_INDEX.replace("CONCURRENTLY ", ""))
        try:
            cursor.execute("ANALYZE")
            with counting(store) as asked:
                assert len(find(admin_client, q="input.customer.id=42", created="all")) == 1
            rows = next(sql for sql in asked if "LIMIT 51" in sql)
            assert "durable_event_payload" in {read.index for read in list_reads(store, rows)}
        finally:
            cursor.execute("DROP INDEX durable_event_payload")


def test_a_search_that_takes_too_long_says_so(store: Store, admin_client: Client) -> None:
    """After 3 seconds the list gives up and names the limit; it never looks empty."""
    if store.vendor != "postgresql":
        pytest.skip("another connection cannot keep a reader of SQLite waiting")
    make_run()
    other = connections[store.alias].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE durable_django_run IN ACCESS EXCLUSIVE MODE")
            html = admin_client.get(reverse(LIST), {"q": "input.a=1"}).content.decode()
            cursor.execute("ROLLBACK")
    finally:
        other.close()
    assert "The search took longer than 3 s." in html
    assert 'role="alert"' in html
    assert "No run matches" not in html
    assert "Try again" in html


def test_a_read_has_a_limit_of_time(store: Store) -> None:
    """A statement that goes on is stopped; the connection is good for the next one."""
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    with (
        pytest.raises(TimeLimitReached),
        time_limit(store.alias, 0.2),
        store.connection.cursor() as cursor,
    ):
        cursor.execute(endless)
    assert Run.objects.count() == 0


def test_a_limit_of_time_does_not_outlive_its_read(store: Store) -> None:
    """Inside a transaction of the caller the former limit holds again, whether the read was in time or not."""
    if store.vendor != "postgresql":
        pytest.skip("SQLite knows no transactions' settings")

    def read() -> str:
        with store.connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            return str(cursor.fetchone()[0])

    with transaction.atomic(using=store.alias):
        before = read()
        with time_limit(store.alias, 7.0):
            assert read() == "7s"
        assert read() == before
        with (
            pytest.raises(TimeLimitReached),
            time_limit(store.alias, 0.1),
            store.connection.cursor() as cursor,
        ):
            cursor.execute("SELECT pg_sleep(20)")
        assert read() == before


def test_a_database_that_fails_is_no_empty_list(store: Store, admin_client: Client) -> None:
    """That, the time and a way to try again stand where the rows would; superusers are told the reason."""
    make_run()
    viewer = log_in("view_run")

    def fail(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if 'FROM "durable_django_run"' in sql:
            raise OperationalError("the disk is on fire\nand more")
        return run(sql, params, many, context)

    with store.connection.execute_wrapper(fail):
        html = admin_client.get(reverse(LIST)).content.decode()
        other = viewer.get(reverse(LIST)).content.decode()
    assert "could not be read." in other
    assert "fire" not in other
    assert "The rows could not be read. The database said: the disk is on fire" in html
    assert "No run" not in html
    assert len(find(admin_client)) == 1


def test_each_detail_finds_its_runs(store: Store, admin_client: Client) -> None:
    """Error class, attempts, awaited event, origin, queue, version, family, age and lateness."""
    now = timezone.now()
    failed = make_run(status="failed", queue="slow", version="v7")
    error = {"name": "ValueError", "message": "no", "stack": "", "code": ""}
    RunResult.objects.create(run=failed, error=json.dumps(error))
    other = make_run(status="failed", origin="operator")
    RunResult.objects.create(run=other, error=json.dumps({**error, "name": "ValueErrors"}))
    for number in range(3):
        Attempt.objects.create(
            run=failed, name="s", number=number, error_type="ValueError", started_at=now, ended_at=now
        )
    waiting = make_live()
    for kind, event in (("event", "order/paid"), ("cancel", "order/gone")):
        Wait.objects.create(run=waiting, name=kind, kind=kind, event_name=event, expires_at=now)
    child = make_live(parent_id=waiting.pk)
    Run.objects.filter(pk=child.pk).update(
        created_at=now - timedelta(hours=2), wake_at=now - timedelta(hours=1)
    )
    for query, wanted in (
        ({"error": "ValueError"}, [failed]),
        ({"attempts": "3"}, [failed]),
        ({"attempts": "4"}, []),
        ({"event": "order/paid"}, [waiting]),
        ({"event": "order/gone"}, []),
        ({"origin": "operator,rerun"}, [other]),
        ({"queue": "slow"}, [failed]),
        ({"version": "v7"}, [failed]),
        ({"top": "1"}, [failed, other, waiting]),
        ({"children": "1"}, [waiting]),
        ({"late": "1"}, [child]),
        ({"error": "ValueError", "version": "v8"}, []),
    ):
        assert find(admin_client, **query) == name(*wanted), query
    old = make_live(age=timedelta(hours=3))
    assert find(admin_client, lasts="170") == name(old)
    html = admin_client.get(reverse(LIST), {"error": "KeyError"}).content.decode()
    assert "No run matches: last 24 hours, Error class KeyError." in html
    assert 'value="KeyError"' in html


def test_a_filter_without_an_index_wants_a_short_list(store: Store, admin_client: Client) -> None:
    """It says what to choose first instead of looking through all runs; a state or a week is enough."""
    run = make_run(status="failed", version="v7")
    refused = {"version": "v7", "created": "all"}
    html = admin_client.get(reverse(LIST), refused).content.decode()
    assert "“Code version” is looked for run by run." in html
    assert read_ids(html) == []
    assert find(admin_client, **refused, status="failed") == name(run)
    assert find(admin_client, version="v7", created="7d") == name(run)
    assert find(admin_client, version="v7", **{"from": "2020-01-01T00:00"}) == set()


def test_the_beginning_of_a_key(store: Store, admin_client: Client) -> None:
    """An asterisk stands for the rest, whatever characters the key has; without it the key is whole."""
    runs = [make_run(key=key) for key in ("order-41", "order-42", "order_43", "Order-44", "")]
    assert find(admin_client, q="order-4*") == name(*runs[:2])
    assert find(admin_client, q="order-4") == set()
    assert find(admin_client, q="order_*") == name(runs[2])


def test_the_list_costs_few_queries(store: Store, admin_client: Client) -> None:
    """Rows, count and views, for ten runs and for hundreds, with filters and without."""
    url = reverse(LIST)
    costs = []
    for number in (10, 200):
        make_runs(number, status="failed")
        for query in ({}, {"status": "failed", "origin": "event"}, {"q": "input.a=1"}):
            admin_client.get(url, query)
            with counting(store) as asked:
                assert admin_client.get(url, query).status_code == 200
            costs.append(count_reads(asked))
    assert max(costs) <= FLOOR + 4
    assert len(set(costs[::3])) == 1 or costs[0] < costs[3]  # ten rows need no count


@pytest.mark.parametrize("query", [query for _name, query in SYSTEM])
def test_each_view_of_the_system_is_a_list(store: Store, admin_client: Client, query: str) -> None:
    """It opens, is marked as the present one, and reads no whole table."""
    make_runs(2_000)
    with store.connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with counting(store) as asked:
        html = admin_client.get(f"{reverse(LIST)}?{query}").content.decode()
    assert "dd-box-bad" not in html
    views = html.partition("dd-views")[2].partition("</nav>")[0]
    assert views.count('aria-current="page"') == 1
    assert list_whole(store, next(sql for sql in asked if "LIMIT 51" in sql)) == []


def test_views_are_saved_shared_and_deleted(store: Store) -> None:
    """A view is its owner's until it is shared; a name is used once; only the owner deletes it."""
    sharer, other = log_in("view_run", "share_savedview"), log_in("view_run")
    save = reverse("admin:durable_django_run_view_save")
    query = "status=failed&workflow=ship-order"
    form = sharer.get(f"{save}?{query}").content.decode()
    assert "ship-order" in form
    assert "Show it to everybody" in form
    answer = sharer.post(f"{save}?{query}&older=x", {"name": "Ours", "shared": "on"})
    assert answer.status_code == 302
    assert set(answer["Location"].partition("?")[2].split("&")) == set(query.split("&"))
    other.post(f"{save}?status=stuck", {"name": "Mine", "shared": "on"})
    assert list(SavedView.objects.order_by("id").values_list("name", "shared")) == [
        ("Ours", True),
        ("Mine", False),
    ]
    assert "You have a view of this name." in other.post(f"{save}?a=1", {"name": "Mine"}).content.decode()
    assert "Show it to everybody" not in other.get(save).content.decode()
    seen = other.get(reverse(LIST)).content.decode()
    assert ">Ours</a>" in seen
    assert ">Mine</a>" in seen
    assert ">Mine</a>" not in sharer.get(reverse(LIST)).content.decode()
    delete = reverse("admin:durable_django_run_view_delete", args=[SavedView.objects.get(name="Ours").pk])
    assert other.post(delete).status_code == 404
    assert sharer.get(delete).status_code == 200
    assert SavedView.objects.count() == 2
    assert sharer.post(delete).status_code == 302
    assert SavedView.objects.get().name == "Mine"
    assert log_in().get(save).status_code == 403


def test_the_export_has_the_rows_of_the_filter(
    store: Store, admin_client: Client, admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row once, over the borders of chunks; no cell is a formula; the log names who and what."""
    monkeypatch.setattr(run_export, "CHUNK", 2)
    evil = '=HYPERLINK("http://evil")'
    runs = [make_run(status="failed", key=evil, reason="-1+1") for _ in range(5)]
    make_run()
    for kind, read in (("csv", read_csv), ("jsonl", read_lines)):
        answer = admin_client.post(f"{reverse(EXPORT)}?status=failed", {"format": kind})
        assert f".{kind}" in answer["Content-Disposition"]
        rows = read(b"".join(answer.streaming_content).decode())
        assert [row["id"] for row in rows] == sorted(name(*runs), reverse=True)
        assert rows[0]["key"] == (f"'{evil}" if kind == "csv" else evil)
        assert rows[0]["reason"] == ("'-1+1" if kind == "csv" else "-1+1")
        assert rows[0]["status"] == "failed"
    entries = list(AuditEntry.objects.order_by("id").values_list("actor", "action", "reason"))
    assert entries == [(f"user:{admin_user.pk} admin", "export", "status=failed")] * 2


def read_csv(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text)))


def read_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_an_export_is_bounded(store: Store, admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends at its limit, in the middle of a chunk too."""
    monkeypatch.setattr(run_export, "CHUNK", 4)
    monkeypatch.setattr(run_export, "MOST", 6)
    make_runs(9)
    answer = admin_client.post(reverse(EXPORT), {"format": "jsonl"})
    assert len(read_lines(b"".join(answer.streaming_content).decode())) == 6


def test_an_export_needs_its_permission(store: Store) -> None:
    """Without it there is no button; a hand-made POST is refused and noted, and a GET does nothing."""
    viewer = log_in("view_run")
    assert reverse(EXPORT) not in viewer.get(reverse(LIST)).content.decode()
    assert viewer.post(reverse(EXPORT), {"format": "csv"}).status_code == 403
    assert AuditEntry.objects.get().result == "denied"
    exporter = log_in("view_run", "export_run")
    assert exporter.get(reverse(EXPORT)).status_code == 405
    assert reverse(EXPORT) in exporter.get(reverse(LIST)).content.decode()


def test_ticked_runs_are_exported(store: Store) -> None:
    """They alone, with the permission; the log names them, and who tried without it."""
    wanted, _other = make_run(key="=1+1"), make_run()
    form = {"action": "export_selected", "_selected_action": str(wanted.pk)}
    exporter, viewer = log_in("view_run", "export_run"), log_in("view_run", "cancel_run")
    rows = read_csv(b"".join(exporter.post(reverse(LIST), form).streaming_content).decode())
    assert [(row["id"], row["key"]) for row in rows] == [(str(wanted.pk), "'=1+1")]
    assert str(wanted.pk)[-8:] in AuditEntry.objects.get().reason
    assert "export_selected" not in viewer.get(reverse(LIST)).content.decode()
    assert viewer.post(reverse(LIST), form).status_code == 403
    assert AuditEntry.objects.filter(action="export", result="denied").count() == 1


def test_news_are_counted_in_one_query(store: Store, admin_client: Client) -> None:
    """Runs that came after the first row and meet the filters; 204 if there are none, 401 without a login."""
    first = make_run(status="failed")
    query = {"status": "failed", "since": str(first.pk)}
    admin_client.get(reverse(NEWS), query)
    with counting(store) as asked:
        quiet = admin_client.get(reverse(NEWS), query)
    assert (quiet.status_code, quiet["Cache-Control"], count_reads(asked)) == (204, "no-store", FLOOR + 1)
    make_run(status="failed")
    make_run()
    answer = admin_client.get(reverse(NEWS), query)
    assert answer.json() == {"count": 1, "text": "1 new run."}
    assert admin_client.get(reverse(NEWS), {"since": ""}).json()["count"] == 3
    assert Client().get(reverse(NEWS), query).status_code == 401
    assert log_in().get(reverse(NEWS), query).status_code == 403


def test_nothing_yet_is_not_nothing_found(store: Store, admin_client: Client) -> None:
    """Without any run the list tells how to start one; with some it tells what was asked for."""

    def read() -> str:
        return admin_client.get(reverse(LIST), {"status": "failed"}).content.decode()

    assert "No runs yet." in read()
    make_run()
    assert "No run matches: failed, last 24 hours." in read()


def test_columns_are_chosen_in_the_address(store: Store) -> None:
    """Queue, worker, version, attempts, and a value of the input, which needs the permission; links keep them."""
    evil = '{"customer": {"name": "<b>Ann</b>"}, "items": [1, {"n": 2}], "password": "secret"}'
    run = make_run(evil, queue="slow-lane", owner="host:17", version="v7", attempt=4)
    viewer, seer = log_in("view_run"), log_in("view_run", "view_payload")

    def read(client: Client, **query: str) -> str:
        return client.get(reverse(LIST), query).content.decode()

    plain = read(seer)
    for text in ("slow-lane", "host:17", ">v7<", "Ann"):
        assert text not in plain
    chosen = {"show_queue": "1", "show_worker": "1", "show_version": "1", "show_attempts": "1"}
    html = read(viewer, **chosen)
    for text in ("slow-lane", "host:17", ">v7<", ">4<"):
        assert text in html
    assert "show_queue=1" in html.partition("dd-filters")[2].partition("</nav>")[0]
    assert "&lt;b&gt;Ann&lt;/b&gt;" in read(seer, show_input="customer.name")
    assert ">2<" in read(seer, show_input="input.items.1.n")
    assert "secret" not in read(seer, show_input="password")
    assert "Ann" not in (hidden := read(viewer, show_input="customer.name"))
    assert "You need the permission “Can view payloads”" in hidden
    assert read_ids(hidden) == [str(run.pk)]


def test_a_chosen_value_costs_one_query(store: Store, admin_client: Client) -> None:
    """However many rows there are; a payload larger than a page shows stays in the database."""
    make_run(json.dumps({"n": 7, "fat": "x" * 70_000}))
    costs = []
    for _ in range(2):
        make_run('{"n": 41}')
        with counting(store) as asked:
            html = admin_client.get(reverse(LIST), {"show_input": "n"}).content.decode()
        costs.append(count_reads(asked))
    assert "too large" in html
    assert html.count(">41<") == 2
    assert costs[0] == costs[1] <= FLOOR + 4
    assert not any("x" * 100 in sql for sql in asked)


def test_a_masked_value_cannot_be_searched_for(store: Store, admin_client: Client) -> None:
    """Nobody can guess what nobody may see, neither by a search nor by an expression."""
    make_run('{"password": "hunter2", "n": 1}')
    html = admin_client.get(reverse(LIST), {"q": "input.password=hunter2"}).content.decode()
    assert "“password” is masked: it cannot be searched for." in html
    assert read_ids(html) == []
    assert find(admin_client, cel='event.data.password == "hunter2"') == set()
    assert len(find(admin_client, cel="event.data.n == 1")) == 1


def test_an_expression_is_tested_on_what_the_filters_leave(store: Store, admin_client: Client) -> None:
    """The list shows the runs that it is true of, how many were looked at, and which could not be decided."""
    wanted = make_run('{"total": 120}', status="failed")
    make_run('{"total": 120}')
    make_run('{"total": 3}', status="failed")
    make_run('{"total": []}', status="failed")
    query = {"status": "failed", "cel": "event.data.total > 100"}
    with counting(store) as asked:
        html = admin_client.get(reverse(LIST), query).content.decode()
    assert read_ids(html) == [str(wanted.pk)]
    assert "Checked 3 of 3 runs; it is true of 1." in html
    assert "Not decided:" in html
    assert "Continue" not in html
    assert reverse(EXPORT) not in html.partition('class="dd-end"')[2]
    assert count_reads(asked) <= FLOOR + 4
    assert admin_client.post(f"{reverse(EXPORT)}?cel=true%7C%7Cevent.id==%22%22").status_code == 302


def test_an_expression_goes_on_with_older_runs(
    store: Store, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its limit it says so and offers the rest, also if nothing was found; each run is looked at once."""
    made = {make_run(json.dumps({"n": number})).pk: number for number in range(5)}
    oldest = min(made)  # which of those made in one millisecond is chance
    monkeypatch.setattr(run_list, "TEST_MOST", 2)
    query = {"cel": f"event.data.n == {made[oldest]}"}
    html = admin_client.get(reverse(LIST), query).content.decode()
    assert "Checked 2 of 5 runs; it is true of 0." in html
    html = admin_client.get(reverse(LIST) + follow(html, "next")).content.decode()
    assert read_ids(html) == []
    html = admin_client.get(reverse(LIST) + follow(html, "next")).content.decode()
    assert read_ids(html) == [str(oldest)]
    assert "Continue" not in html


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("event.data.total >", "Column 19: it does not follow the grammar of CEL here."),
        ("async.data.total > 1", "Column 1:"),
        ("1 + 1", "a condition must be true or false"),
        ("x" * 2_100, "Column "),
        ("event.data.l.all(a, event.data.l.all(b, true))", "takes too long to be decided"),
    ],
)
def test_what_is_wrong_with_an_expression_stands_beside_it(
    store: Store, admin_client: Client, source: str, told: str
) -> None:
    """A slip, a bomb or a text too long finds no run and breaks nothing; it stays in its field."""
    make_run(json.dumps({"l": list(range(400))}))
    html = admin_client.get(reverse(LIST), {"cel": source}).content.decode()
    beside = html.partition('id="dd-cel-error"')[2].partition("</span>")[0]
    assert told in beside
    assert 'aria-invalid="true" aria-describedby="dd-cel-error"' in html
    assert read_ids(html) == []


def test_an_expression_needs_the_permission(store: Store) -> None:
    """It would tell what is in payloads."""
    make_run('{"pin": 1}')
    html = log_in("view_run").get(reverse(LIST), {"cel": "event.data.pin == 1"}).content.decode()
    assert "To test expressions you need the permission" in html
    assert 'id="dd-cel"' not in html
    assert read_ids(html) == []


def test_a_range_may_be_of_the_start_or_the_end(store: Store, admin_client: Client) -> None:
    """Then the runs count that started or ended in it, however long ago they were created."""
    now = timezone.now()
    old = make_run(age=timedelta(days=3), started_at=now - timedelta(days=2), ended_at=now)
    new = make_run(started_at=now, ended_at=now)
    live = make_live(age=timedelta(days=3), started_at=now)
    assert find(admin_client) == name(new)
    assert find(admin_client, by="ended") == name(new, old)
    assert find(admin_client, by="started") == name(new, live)
    assert find(admin_client, by="nonsense") == name(new)
    before = f"{timezone.localtime(now - timedelta(days=1)):%Y-%m-%dT%H:%M}"
    assert find(admin_client, by="started", until=before) == name(old)
    html = admin_client.get(reverse(LIST), {"by": "ended", "q": "x*", "created": "1h"}).content.decode()
    assert "No run matches: ended: last hour, “x*”." in html


def test_the_runs_of_a_bulk_operation(store: Store, admin_client: Client) -> None:
    """Those that it changed, and those that it left alone, as the operator log notes in its course."""
    touched, refused, _other = make_run(), make_run(), make_run()
    AuditEntry.objects.create(
        actor="a", action="cancel", run_id=refused.pk, bulk_id=17, result="refused: completed"
    )
    assert find(admin_client, left="17") == name(refused)
    AuditEntry.objects.create(actor="a", action="cancel", run_id=touched.pk, bulk_id=17, result="done")
    assert find(admin_client, bulk="17") == name(touched)
    assert find(admin_client, bulk="18") == find(admin_client, bulk="9" * 30) == set()


def test_an_empty_list_tells_of_the_last_one(store: Store, admin_client: Client) -> None:
    """When the newest run was created that meets the filters but for the range; not if there is none."""
    make_run(status="failed", age=timedelta(days=3))
    html = admin_client.get(reverse(LIST), {"status": "failed"}).content.decode()
    assert "The last one was created 3\xa0days ago:" in html
    assert "The last one" not in admin_client.get(reverse(LIST), {"status": "cancelled"}).content.decode()


def test_a_row_tells_what_its_run_waits_for(store: Store, admin_client: Client) -> None:
    """The name of the event or signal, the step and the number of its next attempt, the worker."""
    soon = timezone.now() + timedelta(hours=1)
    for kind, named in (("event", {"event_name": "order/paid"}), ("signal", {"signal": "approval-9"})):
        run = make_live(waits_for=kind)
        Wait.objects.create(
            run=run, name="gone", kind=kind, status="matched", event_name="order/gone", expires_at=soon
        )
        Wait.objects.create(run=run, name="w", kind=kind, expires_at=soon, **named)
    retried = make_live(waits_for="retry")
    for number in range(3):
        Attempt.objects.create(
            run=retried, name="charge", number=number, error_type="E", started_at=soon, ended_at=soon
        )
    make_live("running", owner="host:17")
    html = admin_client.get(reverse(LIST)).content.decode()
    for text in ("order/paid", "approval-9", "charge, attempt 4", "host:17"):
        assert text in html
    assert "order/gone" not in html


def test_a_workflow_of_old_is_told_and_many_are_typed(store: Store, admin_client: Client) -> None:
    """One that the code has no more can be asked for and is shown as chosen; a dozen become a field."""
    old = make_run(workflow="of-old")
    make_run()
    html = admin_client.get(reverse(LIST), {"workflow": "of-old"}).content.decode()
    assert read_ids(html) == [str(old.pk)]
    assert re.search(r'aria-current="true"><span class="dd-cut">of-old<', html)
    for number in range(13):
        workflow(id=f"of-now-{number}")(lambda ctx: None)
    html = admin_client.get(reverse(LIST), {"status": "completed"}).content.decode()
    typed = html.partition("dd-typed")[2].partition("</form>")[0]
    assert typed.count("<option") == 13
    assert '<input type="hidden" name="status" value="completed">' in typed
    assert find(admin_client, workflow="") == find(admin_client)


@pytest.mark.parametrize(
    "query",
    [
        {"workflow": "a\0b"},
        {"q": "a\0b"},
        {"q": "input.a\0b=1"},
        {"show_input": "a\0b"},
        {"cel": "event.data.a == '\0'"},
        {"older": "\0"},
        {"error": "\0"},
        {"key": "\0"},
        {"attempts": "9" * 40},
        {"lasts": "9" * 40},
        {"from": "0001-01-01T00:00"},
        {"until": "9999-12-31T23:59"},
        {"by": "\0", "created": "\0", "status": "\0,failed"},
    ],
    ids=str,
)
def test_no_address_breaks_the_list(store: Store, admin_client: Client, query: dict[str, str]) -> None:
    """Whatever stands in it, the list, its news and its export answer, and find nothing or say why."""
    make_run()
    for page in (LIST, NEWS):
        assert admin_client.get(reverse(page), query).status_code in (200, 204, 302), page
    url = f"{reverse(EXPORT)}?{urlencode(query)}"
    assert admin_client.post(url, {"format": "csv"}).status_code in (200, 302)
