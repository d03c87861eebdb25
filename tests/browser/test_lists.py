"""Operators' tasks on lists, views, the log and the overview, in a real browser."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from durable_django import workflow
from durable_django.engine.rollup import roll_up
from durable_django.models import AuditEntry, Rollup, Run, Worker
from tests import failing
from tests.acceptance.test_console_list import make_live, make_run

pytestmark = [pytest.mark.timeout(400), pytest.mark.parametrize("store", ["sqlite"], indirect=True)]
both = pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
MakeUser = Callable[..., User]
LIST = "admin:durable_django_run_changelist"
ROWS = "#result_list tbody tr"


@pytest.fixture
def shop() -> Any:
    """A workflow that the console knows by its code."""

    @workflow(id="ship-order", trigger="order/placed")
    def ship(ctx: Any) -> None: ...

    return ship


@pytest.fixture
def failing_runs(store: Any, settings: Any) -> Iterator[Any]:
    """A switch for the reads of runs."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.failing.FailingRuns"]
    yield failing.down
    failing.down.clear()


@both
def test_find_the_failed_runs_of_a_workflow(
    browser: Any, make_user: MakeUser, shop: Any, script: bool
) -> None:
    """Three clicks from the overview; the rows are those of the database, and the address keeps the view."""
    failed = [make_run(workflow="ship-order", status="failed") for _ in range(2)]
    make_run(workflow="ship-order")
    make_run(workflow="other", status="failed")
    page = browser.open(reverse("admin:durable_django_overview"), user=make_user(), script=script)
    page.get_by_role("navigation", name="Durable workflows").get_by_role("link", name="Runs").click()
    page.get_by_role("link", name="Failed today").click()
    page.locator("#dd-filters").get_by_role("link", name="ship-order").click()
    page.wait_for_url(re.compile("workflow=ship-order"))
    browser.check(page, "runs" if script else "")
    for _ in range(2):
        assert page.locator(ROWS).count() == 2
        assert all(page.locator(f"a[href*='{run.pk}']").count() == 1 for run in failed)
        page.goto(page.url)


@both
def test_narrow_a_list_by_its_form(browser: Any, make_user: MakeUser, shop: Any, script: bool) -> None:
    """A range of one's own and further fields are one form, which stays filled and is cleared at once."""
    make_run(workflow="ship-order", queue="slow")
    make_run(workflow="ship-order")
    page = browser.open(reverse(LIST), user=make_user(), script=script)
    page.locator("#dd-filters summary").click()
    page.get_by_role("textbox", name="Queue").fill("slow")
    begin = timezone.now() - timedelta(hours=30)
    page.get_by_label("From", exact=True).fill(f"{begin:%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile("queue=slow"))
    assert page.locator(ROWS).count() == 1
    assert page.get_by_role("textbox", name="Queue").input_value() == "slow"
    browser.check(page)
    page.get_by_role("link", name="Clear", exact=True).click()
    page.wait_for_url(lambda url: "queue" not in url)
    assert page.locator(ROWS).count() == 2
    page.goto(browser.server + reverse(LIST) + "?queue=slow&created=all")
    assert "is looked for run by run" in page.get_by_role("alert").inner_text()
    browser.check(page)


@both
def test_find_a_run_by_its_input(browser: Any, make_user: MakeUser, script: bool) -> None:
    """An exact value at an exact path; who may not see payloads is told so."""
    wanted = make_run('{"customer": {"id": 42}}')
    make_run('{"customer": {"id": 43}}')
    page = browser.open(reverse(LIST), user=make_user(), script=script)
    page.locator("#searchbar").fill("input.customer.id=42")
    page.locator("#searchbar").press("Enter")
    page.wait_for_url("**q=input*")
    assert page.locator(ROWS).count() == 1
    assert page.locator(f"a[href*='{wanted.pk}']").count() == 1
    browser.check(page)
    blind = browser.open(f"{reverse(LIST)}?q=input.customer.id%3D42", user=make_user("view_run"))
    assert "you need the permission" in blind.get_by_role("alert").inner_text()


def test_new_runs_are_told_and_move_nothing(browser: Any, make_user: MakeUser) -> None:
    """A banner counts them; ticked rows hold the asking back; the link shows them."""
    make_run()
    page = browser.open(reverse(LIST), user=make_user())
    page.clock.install()
    page.goto(page.url)
    assert page.get_by_role("button", name="Live: on").count() == 1
    make_run()
    make_run()
    page.locator(".action-select").first.check()
    page.clock.run_for(20_000)
    assert page.locator(".dd-news").inner_text() == ""
    page.locator(".action-select").first.uncheck()
    page.clock.run_for(60_000)
    page.get_by_text("2 new runs.").wait_for()
    assert page.locator(ROWS).count() == 1
    browser.check(page)
    page.locator(".dd-news").get_by_role("link", name="Show").click()
    page.locator(ROWS).nth(2).wait_for()


def test_a_list_by_keyboard(browser: Any, make_user: MakeUser) -> None:
    """Keys search, move, open and explain themselves; switched off they do nothing."""
    runs = sorted((make_run(key=f"order-{number}") for number in range(3)), key=lambda run: run.pk)
    page = browser.open(reverse(LIST), user=make_user())
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "searchbar"
    page.keyboard.type("j/k?")
    assert page.locator("#searchbar").input_value() == "j/k?"
    page.locator("#searchbar").evaluate("each => { each.value = ''; each.blur() }")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert str(runs[2].pk) in page.evaluate("document.activeElement.href")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    keys.wait_for()
    browser.check(page, "keys")
    keys.get_by_role("checkbox").uncheck()
    keys.get_by_role("button", name="Close").click()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") != "searchbar"
    page.locator(f"a[href*='{runs[2].pk}']").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{runs[2].pk}**")


@both
def test_who_cancelled_a_run_and_why(browser: Any, make_user: MakeUser, script: bool) -> None:
    """Run, operator log and history agree; when the account is gone, run and log still name it."""
    run, user, other = make_live(), make_user(), make_user()
    page = browser.open(reverse("admin:durable_django_run_cancel", args=[run.pk]), user=user, script=script)
    page.get_by_label("Reason").fill("ordered twice")
    page.get_by_role("button", name="Cancel the run").click()
    page.get_by_text("The run was cancelled.").wait_for()
    history = browser.open(reverse("admin:durable_django_run_history", args=[run.pk]), user=other)
    assert user.username in history.locator("#content").inner_text()
    who = f"user:{user.pk} {user.username}"
    user.delete()
    page = browser.open(
        f"{reverse('admin:durable_django_auditentry_changelist')}?q={run.pk}", user=other, script=script
    )
    told = page.locator(ROWS).inner_text()
    assert who in told
    assert "ordered twice" in told
    browser.check(page, "log" if script else "")
    page.locator(ROWS).get_by_role("link", name=re.compile("^…")).click()
    page.get_by_role("link", name="Operator actions").click()
    page.get_by_text(who).first.wait_for()
    browser.pages.clear()  # the page of the operator who is gone


@both
def test_save_share_and_reopen_a_view(
    browser: Any, make_user: MakeUser, shop: Any, script: bool, tmp_path: Any
) -> None:
    """Another user opens the shared view and takes its rows as a file; formulas are text; the log knows."""
    evil = make_run(workflow="ship-order", status="failed", key="=1+1")
    make_run(workflow="ship-order")
    query = "?status=failed&workflow=ship-order"
    page = browser.open(reverse(LIST) + query, user=make_user(), script=script)
    page.get_by_role("link", name="Save this view…").click()
    page.get_by_label("Name").fill("Lost orders")
    page.get_by_label("Show it to everybody").check()
    browser.check(page)
    page.get_by_role("button", name="Save the view").click()
    page.get_by_text("The view “Lost orders” was saved.").wait_for()
    other = make_user("view_run", "export_run")
    page = browser.open(reverse(LIST), user=other, script=script)
    page.get_by_role("link", name="Lost orders").click()
    page.wait_for_url("**workflow=ship-order*")
    assert page.get_by_role("link", name="Lost orders").get_attribute("aria-current") == "page"
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "runs.csv")
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert [(row["id"], row["key"]) for row in rows] == [(str(evil.pk), "'=1+1")]
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == (f"user:{other.pk} {other.username}", "export")


@both
def test_a_list_while_the_database_fails(
    failing_runs: Any, browser: Any, make_user: MakeUser, script: bool
) -> None:
    """The reason and a way to try again stand there, never the empty text; then the rows come back."""
    make_run()
    page = browser.open(reverse(LIST), user=make_user(), script=script)
    failing_runs.set()
    page.goto(page.url)
    alert = page.get_by_role("alert").inner_text()
    assert "The database said: the server closed the connection" in alert
    assert "No run" not in page.locator("#content").inner_text()
    browser.check(page)
    failing_runs.clear()
    page.get_by_role("link", name="Try again").click()
    page.locator(ROWS).first.wait_for()
    assert page.locator(ROWS).count() == 1


def make_day(now: Any) -> None:
    """Figures of a day, for the drawing in the documents."""
    Rollup.objects.bulk_create(
        Rollup(
            workflow="",
            span=1,
            at=(now - timedelta(minutes=15 * part)).replace(second=0, microsecond=0),
            started=40 + part % 17,
            completed=34 + part % 13,
            failed=part % 7 // 3,
            cancelled=part % 11 // 9,
            queued=abs(part % 30 - 15),
            running=6 + part % 5,
            waiting=40 + abs(part % 60 - 30),
            delays=json.dumps({"26": 40, "34": 3, str(40 + part % 4): 1}),
            durations=json.dumps({"48": 30, "56": 8, str(60 + part % 6): 1}),
            errors=json.dumps({"CardDeclined: the bank said no": 1, "Timeout: carrier": part % 2}),
        )
        for part in range(1, 96)
    )


def test_the_overview_draws_the_day(browser: Any, make_user: MakeUser, store: Any, shop: Any) -> None:
    """Charts have tables behind them, the range can be changed, and the page passes in both schemes."""
    now = timezone.now()
    Worker.objects.create(name="web-1/4711", kind="local", queues="durable")
    for status in ("completed", "completed", "failed"):
        make_run(workflow="ship-order", status=status, started_at=now, ended_at=now - timedelta(minutes=2))
    roll_up(store.alias, now)
    user = make_user()
    page = browser.open(reverse("admin:durable_django_overview"), user=user)
    page.get_by_role("figure", name="Runs ended").wait_for()
    before = Rollup.objects.filter(workflow="", span=1).count()
    chart = page.get_by_role("figure", name="Runs ended")
    chart.get_by_text("View as table").click()
    assert re.search(r"2\s+1\s+0", chart.get_by_role("table").inner_text())
    make_day(now - timedelta(minutes=5))
    assert Rollup.objects.filter(workflow="", span=1).count() > before
    page.goto(page.url)
    browser.check(page, "overview")
    page.get_by_role("link", name="7 days").click()
    page.wait_for_url("**span=7d")
    dark = browser.open(
        reverse("admin:durable_django_overview"), user=user, color_scheme="dark", viewport=NARROW
    )
    browser.check(dark, "overview-dark-narrow")
    for name, picture in (("workflowstate_changelist", "workflows"), ("worker_changelist", "queues")):
        for options in ({}, {"color_scheme": "dark", "viewport": NARROW}):
            each = browser.open(reverse(f"admin:durable_django_{name}"), user=user, **options)
            browser.check(each, picture if not options else f"{picture}-dark-narrow")


NARROW = {"width": 360, "height": 740}


def test_the_pages_of_a_workflow_and_of_health(
    browser: Any, make_user: MakeUser, store: Any, shop: Any
) -> None:
    """Both pass the gates, light and dark; the data is checked on demand."""
    make_run(workflow="ship-order", status="failed")
    user = make_user()
    for path, picture in (
        (reverse("admin:durable_django_workflowstate_change", args=["ship-order"]), "workflow"),
        (reverse("admin:durable_django_health"), "health"),
    ):
        for options in ({}, {"color_scheme": "dark", "viewport": NARROW}):
            page = browser.open(path, user=user, **options)
            browser.check(page, picture if not options else f"{picture}-dark-narrow", budget=45)
    page.get_by_role("button", name="Check the data now").click()
    page.get_by_text(re.compile("promises were checked and hold|Promise")).first.wait_for()


def test_forced_colours_keep_the_charts(browser: Any, make_user: MakeUser, store: Any) -> None:
    """Bars and lines are there in the system's colours."""
    make_run(status="failed", started_at=timezone.now(), ended_at=timezone.now() - timedelta(minutes=2))
    roll_up(store.alias, timezone.now())
    page = browser.open(reverse("admin:durable_django_overview"), user=make_user(), forced_colors="active")
    fill = page.locator(".dd-plot .dd-column").first.evaluate("each => getComputedStyle(each).fill")
    assert fill not in ("none", "rgba(0, 0, 0, 0)")
    browser.check(page)
    assert Run.objects.count() == 1
