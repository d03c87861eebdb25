"""The steps of a run in the console: ten thousand of them on one quick page, and each of them on its own."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from durable_django import step, workflow
from durable_django.models import Attempt, Rollup, Run, RunResult, Step
from durable_django.store.base import adapt_id
from durable_django.testing import advance, drain, reset_clock
from tests.acceptance.test_console_costs import FLOOR, counting
from tests.acceptance.test_console_list import log_in, make_live, make_run
from tests.plans import list_reads, list_whole
from tests.plugins.store import Store

PAGE = "admin:durable_django_run_change"
STEP = "admin:durable_django_step_change"
BEGIN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def fill(run: Run, count: int, **fields: Any) -> list[Step]:
    """Store steps that follow one another, each a tenth of a second long."""
    made = {"name": "charge-card", "kind": "run", "status": "completed", **fields}
    begin = made.pop("begin", BEGIN)
    steps = []
    for number in range(count):
        start = begin + timedelta(seconds=number)
        times = {"started_at": start, "ended_at": start + timedelta(milliseconds=100)}
        steps.append(Step(**{"run": run, "index": number, **times, **made}))
    return Step.objects.bulk_create(steps, batch_size=500)


def copy_steps(store: Store, run: Run, other: Run) -> None:
    columns = 'name, "index", kind, status, attempt, token, started_at, ended_at'
    table, ids = "durable_django_step", (adapt_id(store.alias, each.pk) for each in (other, run))
    with store.connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (run_id, {columns}) SELECT %s, {columns} FROM {table} WHERE run_id = %s",
            list(ids),
        )


def read(client: Client, run: Run, **query: Any) -> str:
    answer = client.get(reverse(PAGE, args=[run.pk]), query)
    assert answer.status_code == 200
    return answer.content.decode()


def read_rows(html: str) -> list[str]:
    table = html.partition('class="dd-timeline"')[2].partition("</table>")[0]
    return re.findall(r'<th scope="row"[^>]*><a [^>]+>([^<]+)</a>', table)


def test_ten_thousand_steps_are_one_quick_page(store: Store, admin_client: Client) -> None:
    """At most nine queries and 150 KB, whatever of them is shown; no query reads the steps of other runs."""
    run = make_live()
    fill(run, 10_000)
    for _ in range(5):
        copy_steps(store, run, make_live())
    Step.objects.filter(run=run, index=7_777).update(status="failed")
    with store.connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for query in ({}, {"only": "failed"}, {"only": "slow"}, {"only": "waiting"}, {"name": "charge-card"}):
        read(admin_client, run, **query)
        with counting(store) as asked:
            html = read(admin_client, run, **query)
        assert len(asked) <= FLOOR + 9, query
        assert len(html.encode()) <= 150_000, query
        assert len(re.findall("<[a-z]", html)) < 8_000
        for sql in asked:
            if 'FROM "durable_django_step"' in sql or "NTILE" in sql:
                steps = [each for each in list_reads(store, sql) if each.table == "durable_django_step"]
                assert steps
                assert all("run_id" in each.condition for each in [*steps, *list_whole(store, sql)]), sql


def test_the_strip_shows_all_steps_on_every_page(store: Store, admin_client: Client) -> None:
    """Each step is counted once, from the first to the last, and the failed one can be gone to from its place."""
    run = make_run(created_at=BEGIN)
    steps = fill(run, 1_000)
    Step.objects.filter(pk=steps[610].pk).update(status="failed")
    first = read(admin_client, run)
    later = read(admin_client, run, after=steps[399].pk)
    rows = re.findall(r'<a href="([^"]+)">(\d+)–(\d+)</a></th><td[^>]*>([^<]+)</td><td[^>]*>([^<]+)', first)
    assert [(int(begin), int(end)) for _url, begin, end, _offset, _told in rows] == [
        (begin, begin + 49) for begin in range(1, 1_000, 50)
    ]
    assert [told for *_rest, told in rows if "failed" in told] == ["49 completed, 1 failed"]
    assert sum(int(number) for *_rest, told in rows for number in re.findall(r"(\d+) ", told)) == 1_000
    assert rows[1][3] == "50.0s"
    url = next(url for url, *_rest, told in rows if "failed" in told).replace("&amp;", "&")
    found = admin_client.get(reverse(PAGE, args=[run.pk]) + url).content.decode()
    assert "charge-card (611)" in read_rows(found)[:50]
    drawn = [re.findall(r'class="dd-s-\w+" d="([^"]+)', html) for html in (first, later)]
    assert drawn[0] == drawn[1]
    assert re.search(r'class="dd-here" x="0" width="200"', first)
    assert re.search(r'class="dd-here" x="400" width="200"', later)


def test_the_strip_tells_sleeps_that_last_from_those_that_are_over(
    store: Store, admin_client: Client
) -> None:
    """Both rows are stored alike; the clock alone tells them apart, in the strip and among the names."""
    run, now = make_live(), timezone.now()
    fill(run, 250)
    for name, left in (("over", -60), ("lasts", 60)):
        ready = now + timedelta(minutes=left)
        fill(run, 2, name=name, kind="sleep", status="waiting", ended_at=None, ready_at=ready)
    html = read(admin_client, run)
    assert html.count('class="dd-s-sleeping" d="') == 1
    assert "2 sleeping" in html.partition("View as table")[2].partition("</table>")[0]
    folds = html.partition('class="dd-folds">')[2].partition("</ul>")[0]
    assert re.findall(r"<span>(\d+ \w+)</span>", folds) == ["250 completed", "2 sleeping", "2 completed"]


def test_repeated_names_are_folded(store: Store, admin_client: Client) -> None:
    """A name tells its steps by state and leads to them; one that is there once is not told; few steps fold nothing."""
    run = make_run()
    charged = fill(run, 480)
    Step.objects.filter(pk__in=[each.pk for each in charged[:2]]).update(status="failed")
    fill(run, 3, name="a <b>")
    fill(run, 1, name="once")
    html = read(admin_client, run)
    folds = html.partition('class="dd-folds">')[2].partition("</ul>")[0]
    told = [" ".join(re.sub("<[^>]+>", " ", each).split()) for each in folds.split("</li>")[:-1]]
    assert told == ["charge-card ×480 478 completed, 2 failed", "a &lt;b&gt; ×3 3 completed"]
    url = re.findall(r'href="([^"]+)"', folds)[1].replace("&amp;", "&")
    found = admin_client.get(reverse(PAGE, args=[run.pk]) + url).content.decode()
    assert len(read_rows(found)) == 3
    assert "Only steps “a &lt;b&gt;”." in found
    failed = read(admin_client, run, name="charge-card", only="failed")
    assert read_rows(failed) == ["charge-card", "charge-card (2)"]
    few = make_run()
    fill(few, 200)
    assert "dd-strip" not in read(admin_client, few)


def test_each_filter_of_the_steps(store: Store, admin_client: Client) -> None:
    """Failed and retrying ones; what waits, without sleeps that are over; the slowest first, without waits."""
    run, now = make_live(), timezone.now()
    later, past = now + timedelta(hours=1), now - timedelta(minutes=1)
    fill(run, 1, name="quick", begin=past)
    fill(run, 1, name="slow", begin=past, ended_at=past + timedelta(seconds=30))
    fill(run, 1, name="failed", begin=past, status="failed")
    fill(run, 1, name="retrying", begin=past, status="retrying", ended_at=None, ready_at=later)
    fill(run, 1, name="awake", begin=past, kind="sleep", status="waiting", ended_at=None, ready_at=past)
    fill(run, 1, name="asleep", begin=past, kind="sleep", status="waiting", ended_at=None, ready_at=later)
    fill(run, 1, name="asks", begin=past, kind="event", status="waiting", ended_at=None, ready_at=later)
    fill(run, 1, name="asked", begin=past, kind="event", ended_at=past + timedelta(seconds=59))
    assert read_rows(read(admin_client, run, only="failed")) == ["failed", "retrying"]
    assert read_rows(read(admin_client, run, only="waiting")) == ["asleep", "asks"]
    assert read_rows(read(admin_client, run, only="slow")) == ["slow", "quick", "failed"]
    html = read(admin_client, run, only="nonsense")
    assert len(read_rows(html)) == 8
    counts = html.partition('<p class="dd-bar"><span>')[2].partition("</p>")[0]
    assert re.findall(r"(\d+ \w+)</span>", f"<span>{counts}") == [
        "4 completed",
        "1 failed",
        "1 retrying",
        "1 sleeping",
        "1 waiting",
    ]


def test_a_filter_that_leaves_nothing_says_what_there_is(store: Store, admin_client: Client) -> None:
    """It names what was looked for, how many steps there are, and leads to them."""
    run = make_run()
    fill(run, 14)
    for query, text in (
        ({"only": "failed"}, "No failed step."),
        ({"only": "waiting"}, "No waiting step."),
        ({"name": "nonsense"}, "No step of this name."),
    ):
        html = read(admin_client, run, **query)
        assert re.search(rf'{re.escape(text)} <a href="\?tab=steps">Show all 14\.</a>', html), query


def test_a_page_of_many_has_a_scale_of_its_own(store: Store, admin_client: Client) -> None:
    """Its bars fill it: the axis ends with its last step, not with a run that went on for a day."""
    run = make_run(created_at=BEGIN, ended_at=BEGIN + timedelta(days=1))
    fill(run, 400)
    html = read(admin_client, run)
    assert re.search(r'class="dd-axis-end"[^>]*>3m 19s</text>', html)
    assert "idle time cut out" not in html.partition("<caption>")[2].partition("</caption>")[0]


@step(retries=2, backoff="30 seconds")
def declared() -> int:
    return 1


def decline() -> None:
    raise ValueError("declined")


@pytest.fixture
def shop(store: Store) -> Any:
    @workflow(id="shop", retries=3, version="v9")
    def shop(ctx: Any) -> None:
        ctx.step.run("charge-card", decline, retries=4, backoff="1 minute", timeout="20 seconds")
        ctx.step.run("part-1", lambda: "another workflow's", retries=9)

    @workflow(id="plain", retries=3)
    def plain(ctx: Any) -> None:
        for number in range(2):
            ctx.step.run(f"part-{number}", lambda: 1)
        declared()
        ctx.step.sleep("pause", "1 day")

    yield {"shop": shop, "plain": plain}
    reset_clock()


def read_step(client: Client, run: Any, name: str) -> str:
    pk = Step.objects.get(run_id=run.id, name=name).pk
    answer = client.get(reverse(STEP, args=[pk]))
    assert answer.status_code == 200
    return answer.content.decode()


def find_line(text: str) -> int:
    with open(__file__, encoding="utf-8") as file:
        return next(number for number, line in enumerate(file, 1) if text in line)


def test_a_step_tells_where_it_is_in_the_code(store: Store, admin_client: Client, shop: Any) -> None:
    """File and line, its options as they are written, and how often it is tried; by its id, f-string or decorator."""
    failing, plain = shop["shop"].start(), shop["plain"].start()
    drain()
    html = read_step(admin_client, failing, "charge-card")
    line = find_line('ctx.step.run("charge-card", decline')
    assert f"test_console_steps.py:{line}<" in html
    for told in ("&#x27;1 minute&#x27;", "&#x27;20 seconds&#x27;", "<dt>attempts at most</dt><dd>5</dd>"):
        assert told in html
    assert "attempt 2 of 5" in html
    html = read_step(admin_client, plain, "part-1")
    line = find_line('ctx.step.run(f"part-')
    assert f"test_console_steps.py:{line}<" in html
    assert "<dt>attempts at most</dt><dd>4</dd>" in html
    html = read_step(admin_client, plain, "declared")
    assert "&#x27;30 seconds&#x27;" in html
    assert "<dt>attempts at most</dt><dd>3</dd>" in html
    assert "attempts at most" not in read_step(admin_client, plain, "pause")


def test_the_key_of_a_step_is_the_one_its_code_sees(store: Store, admin_client: Client) -> None:
    """Operators find the calls of a step at the service outside by it."""
    seen = []

    @workflow(id="keyed")
    def keyed(ctx: Any) -> None:
        ctx.step.run("charge", lambda: seen.append(ctx.step.key))

    run = keyed.start()
    drain()
    assert seen[0] in read_step(admin_client, run, "charge")


def test_each_attempt_tells_work_and_waiting_apart(store: Store, admin_client: Client) -> None:
    """How long it executed, how long it was queued, when the next one is due, and the one that succeeded."""
    run = make_run(created_at=BEGIN)
    made = fill(run, 1, attempt=2, ended_at=BEGIN + timedelta(seconds=100))[0]
    for number, (begin, end, again) in enumerate(((0, 2, 32), (35, 38, 98))):
        moments = {"started_at": begin, "ended_at": end, "retry_at": again}
        times = {name: BEGIN + timedelta(seconds=seconds) for name, seconds in moments.items()}
        Attempt.objects.create(run=run, name="charge-card", number=number, error_type="E", **times)
    html = admin_client.get(reverse(STEP, args=[made.pk])).content.decode()
    facts = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", html))
    assert (facts["failed attempts took"], facts["paused in between"]) == ("5.0s", "1m 30s")
    second, first = html.split("<h2>Failed attempts</h2>")[1].split("<article")[1:]
    assert "<dt>queued for</dt><dd>3.0s</dd>" in second
    assert "<dt>executed for</dt><dd>3.0s</dd>" in second
    assert "(1m later)" in second
    assert "queued for" not in first
    success = html.split("The attempt that succeeded")[1].split("</article>")[0]
    assert "Attempt 3" in success
    assert "<dt>queued and executed for</dt><dd>2.0s</dd>" in success


def test_a_sleep_that_is_over_says_so(store: Store, admin_client: Client, shop: Any) -> None:
    """Its page speaks of the past, and of the present while it lasts."""
    run = shop["plain"].start()
    drain()
    assert "It sleeps until" in read_step(admin_client, run, "pause")
    advance("2 days")
    assert "It has slept until" in read_step(admin_client, run, "pause")


def fail_run(**error: Any) -> Run:
    run = make_run(status="failed", workflow="ship")
    told = {"name": "CardError", "message": "declined", "stack": "", **error}
    RunResult.objects.create(run=run, error=json.dumps(told))
    return run


def test_an_error_tells_how_often_it_was_seen(store: Store, admin_client: Client) -> None:
    """By the figures of the last day, of this workflow and line; the link lists these runs."""
    run, hour = fail_run(), timezone.now().replace(minute=0, second=0, microsecond=0)
    assert "in 24 h" not in read(admin_client, run)
    for workflow_id, age, count in (("ship", 0, 200), ("ship", 3, 13), ("ship", 30, 7), ("else", 1, 5)):
        errors = json.dumps({"CardError: declined": count, "CardError: else": 1})
        at = hour - timedelta(hours=age)
        Rollup.objects.create(workflow=workflow_id, span=60, at=at, errors=errors)
    html = read(admin_client, run)
    found = re.search(r'<a href="([^"]+)">Seen 213 times in 24 h</a>', html)
    assert found is not None
    listed = admin_client.get(found[1].replace("&amp;", "&")).content.decode()
    assert str(run.pk) in listed
    assert "in 24 h" not in read(log_in("view_step", "view_runresult", "view_run"), make_run(status="failed"))


def test_an_error_of_ours_tells_its_remedy(store: Store, admin_client: Client) -> None:
    """It stands apart from the message, once; one of the user's code has none."""
    hint = "Raise its timeout, or split it into smaller steps."
    run = fail_run(name="StepTimeout", code="step_timeout", message=f"It took too long. {hint}")
    html = read(admin_client, run)
    assert html.count(hint) == 1
    assert f"<strong>What to do:</strong> {hint}" in html
    assert "What to do:" not in read(admin_client, fail_run())


def test_a_payload_that_cannot_be_read_leaves_the_rest(store: Store, admin_client: Client) -> None:
    """Its block names the error and the size; the other one and the page are as they were."""
    run = make_run('{"order": "A-1"}')
    made = fill(run, 1, output='{"a": ')[0]
    RunResult.objects.create(run=run, output='{"broken": ')
    html = read(admin_client, run, tab="payloads")
    assert "A-1" in html
    assert re.search(r"It cannot be read here \(\w+\); 11\xa0bytes are stored\.", html)
    answer = admin_client.get(reverse(STEP, args=[made.pk]))
    assert re.search(r"It cannot be read here \(\w+\); 6\xa0bytes are stored\.", answer.content.decode())
