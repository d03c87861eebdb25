"""The list of waits: sleeps beside events, signals and children; conditions with their values; waking."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from durable_django import workflow
from durable_django.engine.bulk import start_bulk
from durable_django.engine.bulk_work import share_bulk
from durable_django.ids import new_id
from durable_django.models import AuditEntry, Run, Step, Wait
from durable_django.testing import drain, reset_clock
from tests.acceptance.test_console_costs import FLOOR, counting
from tests.acceptance.test_console_list import count_reads, log_in, make_live
from tests.acceptance.test_console_operations import read_mark, read_messages
from tests.plans import list_whole
from tests.plugins.store import Store
from tests.quiet import QUIET

WAITS = "admin:durable_django_wait_changelist"


def read(client: Client, /, **query: Any) -> str:
    answer = client.get(reverse(WAITS), query)
    assert answer.status_code == 200
    return answer.content.decode()


def list_runs(html: str) -> list[str]:
    return re.findall(r'href="[^"]*/run/([0-9a-f-]{36})/change/"', html.partition('id="result_list"')[2])


def make_sleep(
    *, since: timedelta = timedelta(0), left: timedelta = timedelta(hours=1), **fields: Any
) -> Run:
    """Store a run that sleeps, as the engine leaves it."""
    now = timezone.now()
    run = make_live(waits_for="sleep", age=since, **fields)
    Run.objects.filter(pk=run.pk).update(wake_at=now + left)
    times = {"started_at": now - since, "ready_at": now + left}
    Step.objects.create(run=run, name="nap", kind="sleep", status="waiting", **times)
    return run


def make_wait(**fields: Any) -> Wait:
    soon = timezone.now() + timedelta(hours=1)
    made = {"name": "w", "event_name": "order/paid", "expires_at": soon, **fields}
    return Wait.objects.create(**{"run": make_live(waits_for="event"), **made})


@pytest.fixture
def napping(store: Store) -> Iterator[Any]:
    @workflow(id="napping")
    def napping(ctx: Any) -> str:
        ctx.step.sleep("first", "1 hour")
        ctx.step.sleep("second", "3 days")
        return "awake"

    yield napping
    reset_clock()


def test_what_sleeps_is_listed_with_what_waits(store: Store, admin_client: Client, napping: Any) -> None:
    """The kind shows each run that sleeps, its step, since when and how long; other kinds are not among them."""
    run = napping.start()
    drain()
    make_wait()
    html = read(admin_client, kind="sleep")
    assert list_runs(html) == [str(run.id)]
    pk = Step.objects.get(run_id=run.id, name="first").pk
    assert f'/step/{pk}/change/">first</a>' in html
    assert re.search(r"\((1h|59m [\d]+s) left\)", html)
    assert "</span> sleeping</span>" in html
    assert 'href="?kind=sleep" aria-current="true"' in html
    assert list_runs(read(admin_client)) != [str(run.id)]
    assert "any but sleep" in read(admin_client)


def test_a_sleep_is_woken_from_its_row(store: Store, admin_client: Client, napping: Any) -> None:
    """The question leads back to the list; the run goes on with its next sleep, and the log has the reason."""
    run = napping.start()
    drain()
    found = re.search(r'href="([^"]+)">Wake now…', read(admin_client, kind="sleep"))
    assert found is not None
    url = found[1].replace("&amp;", "&")
    page = admin_client.get(url)
    back = re.search(r'name="next" value="([^"]+)"', page.content.decode())
    assert back is not None
    assert back[1] == f"{reverse(WAITS)}?kind=sleep"
    form = {"mark": read_mark(page), "reason": "enough", "next": back[1]}
    answer = admin_client.post(url.partition("?")[0], form)
    assert answer["Location"] == back[1]
    assert read_messages(answer) == ["The run goes on now."]
    drain()
    assert ">second</a>" in read(admin_client, kind="sleep")
    assert AuditEntry.objects.get(run_id=run.id).reason == "enough"


def test_each_filter_of_the_sleeps(store: Store, admin_client: Client) -> None:
    """End, age, workflow and run find theirs; the status of waits means nothing here; a late one is overdue."""
    late = make_sleep(since=timedelta(days=2), left=timedelta(minutes=-3))
    soon = make_sleep(since=timedelta(hours=3), left=timedelta(minutes=30))
    far = make_sleep(left=timedelta(days=30), workflow="ship")
    make_live(waits_for="retry")
    for query, wanted in (
        ({}, [far, soon, late]),
        ({"status": "matched"}, [far, soon, late]),
        ({"ends": "overdue"}, [late]),
        ({"ends": "1h"}, [soon, late]),
        ({"age": "1h"}, [soon]),
        ({"workflow": "ship"}, [far]),
        ({"q": str(soon.pk)}, [soon]),
        ({"q": "nap"}, []),
    ):
        found = list_runs(read(admin_client, kind="sleep", **query))
        assert found == [str(run.pk) for run in wanted], query
    html = read(admin_client, kind="sleep", ends="overdue")
    assert "</span> overdue</span>" in html
    assert re.search(r"\(3m( \d+s)? overdue\)", html)


def test_the_sleeps_cost_what_waits_cost(store: Store, admin_client: Client) -> None:
    """Four queries at most for any number of rows, in pages of keys, none of which reads a whole table."""
    sleeps = [make_sleep() for _ in range(60)]
    asks = {"workflow": "asks", "queue": "q", "status": "waiting", "waits_for": "event"}
    asks |= {"event": sleeps[0].event, "wake_at": timezone.now() + timedelta(days=9)}
    idle = Run.objects.bulk_create([Run(id=new_id(), **asks) for _ in range(4_000)], batch_size=500)
    done = {"name": "done", "kind": "run", "status": "completed"}
    Step.objects.bulk_create([Step(run=run, **done) for run in idle], batch_size=500)
    with store.connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with counting(store) as asked:
        html = read(admin_client, kind="sleep")
    assert count_reads(asked) <= FLOOR + 4
    assert len(html.encode()) < 120_000
    newest = sorted((str(run.pk) for run in sleeps), reverse=True)
    assert list_runs(html) == newest[:50]
    older = re.search(r'href="([^"]+)" rel="next"', html)
    assert older is not None
    second = admin_client.get(reverse(WAITS) + older[1].replace("&amp;", "&")).content.decode()
    assert list_runs(second) == newest[50:]
    with counting(store) as further:
        for query in ({"ends": "1h"}, {"age": "1h"}, {"workflow": "w"}, {"q": newest[0]}):
            read(admin_client, kind="sleep", **query)
    for sql in (*asked, *further):
        if 'FROM "durable_django_run"' in sql and "LIMIT" in sql:
            assert list_whole(store, sql) == []


def test_sleeps_need_the_permissions_of_their_rows(store: Store) -> None:
    """Without runs and steps there is neither the choice nor the list; without retrying no button."""
    make_sleep()
    viewer = log_in("view_wait", "view_run", "view_step")
    html = read(viewer, kind="sleep")
    assert len(list_runs(html)) == 1
    assert "Wake now" not in html
    few = log_in("view_wait", "view_run")
    assert "kind=sleep" not in read(few)
    assert few.get(reverse(WAITS), {"kind": "sleep"}).status_code == 403


def test_nothing_waits_but_somebody_sleeps(store: Store, admin_client: Client) -> None:
    """An empty list says that this is good, and where the sleeps are; an empty list of sleeps says so too."""
    assert "Nothing sleeps." in read(admin_client, kind="sleep")
    assert "sleep." not in read(admin_client).partition('class="dd-empty"')[2].partition("</div>")[0]
    make_sleep()
    html = read(admin_client)
    assert "Nothing is waiting. That is a good state." in html
    assert '<a href="?kind=sleep">1 run sleeps.</a>' in html
    assert '<a href="?kind=sleep">1 run sleeps.</a>' in read(admin_client, kind="sleep", ends="overdue")


def test_all_sleeps_of_a_workflow_are_woken_in_bulk(
    store: Store, admin_client: Client, configure: Any
) -> None:
    """The list offers it with its filter; what a bulk operation cannot choose by is not offered."""
    configure(DISPATCHER=QUIET)
    sleeps = [make_sleep(workflow="ship") for _ in range(3)]
    other = make_sleep()
    html = read(admin_client, kind="sleep", workflow="ship")
    found = re.search(r'href="([^"]+)">All matching…', html)
    assert found is not None
    asked = admin_client.get(found[1].replace("&amp;", "&")).content.decode()
    assert "Wake 3 runs?" in asked
    assert "All matching" not in read(admin_client, kind="sleep", ends="1h")
    start_bulk("wake", {"workflow": "ship", "status": ["sleeping"]}, actor="ann", using=store.alias)
    share_bulk(store.alias, 10.0)
    assert set(Run.objects.filter(status="queued").values_list("pk", flat=True)) == {run.pk for run in sleeps}
    assert Run.objects.get(pk=other.pk).status == "waiting"


def test_a_condition_is_listed_with_its_values(store: Store, settings: Any) -> None:
    """Those who may see payloads see what it is compared to, masked; others see the condition alone."""
    bound = json.dumps({"data": {"order": "A-<1>", "password": "secret", "total": 40}})
    make_wait(expression="async.data.order == event.data.order && event.data.password != ''", bound=bound)
    make_wait(match="data.total", bound=bound)
    seen = log_in("view_wait", "view_payload")
    html = read(seen)
    assert "event.data.order = &quot;A-&lt;1&gt;&quot;" in html
    assert "event.data.total = 40" in html
    assert "secret" not in html
    assert "event.data.password = &quot;" in html
    blind = read(log_in("view_wait"))
    assert "async.data.total == event.data.total" in blind
    assert "A-&lt;1&gt;" not in blind
    assert "= 40" not in blind


def test_a_condition_that_no_code_reads_any_more(store: Store, admin_client: Client) -> None:
    """Its row says so; the others are as they were, and the values of a large one stay in the database."""
    make_wait(expression="async.data.order ==")
    make_wait(match="data.total", bound=json.dumps({"data": {"total": 7}}))
    make_wait(match="data.text", bound=json.dumps({"data": {"text": "ß" * 5_000}}))
    html = read(admin_client)
    assert html.count("No event can end it: the condition is not valid any more.") == 1
    assert "event.data.total = 7" in html
    assert "ßß" not in html
