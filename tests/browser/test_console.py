"""Operators' tasks in a real browser; those with ``script`` also without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from durable_django import send_event, workflow
from durable_django.models import Attempt, AuditEntry, Event, Run, Step
from durable_django.testing import advance, drain, reset_clock

pytestmark = [pytest.mark.timeout(400), pytest.mark.parametrize("store", ["sqlite"], indirect=True)]
both = pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
SCRIPT = "<script>document.title = 'broken'</script>"
MakeUser = Callable[..., User]


def page_of(run: Any) -> str:
    return reverse("admin:durable_django_run_change", args=[run.id])


def fail() -> None:
    raise ValueError(f"the card was declined {SCRIPT}")


@pytest.fixture
def ship() -> Any:
    """A workflow that fails in a step unless told otherwise."""

    @workflow(id="ship-order")
    def ship(ctx: Any) -> str:
        ctx.step.run("reserve", lambda: 1)
        if ctx.event.data.get("good"):
            return "shipped"
        ctx.step.run("charge", fail, retries=0)
        return "never"

    return ship


@pytest.fixture
def asking() -> Any:
    """A workflow that waits for two events, one after the other."""

    @workflow(id="asking")
    def asking(ctx: Any) -> str:
        ctx.step.run("prepare", lambda: 1)
        ctx.step.wait_for_event("payment", event="order/paid", timeout="2 days")
        ctx.step.wait_for_event("parcel", event="order/sent", timeout="2 days")
        return "done"

    return asking


@pytest.fixture
def clock() -> Any:
    yield
    reset_clock()


@both
def test_find_failed_runs(browser: Any, make_user: MakeUser, ship: Any, script: bool) -> None:
    """From the index of the admin to the failed runs of a workflow in three clicks; the address keeps it."""
    failed = [ship.start() for _ in range(2)]
    good = ship.start({"good": True})
    page = browser.open(reverse("admin:index"), user=make_user(), script=script)
    page.locator("#content a[href$='/durable_django/run/']").first.click()
    page.locator("#dd-filters").get_by_role("link", name="failed", exact=True).click()
    page.locator("#dd-filters").get_by_role("link", name="ship-order").click()
    page.wait_for_url(re.compile("status=failed.*workflow=ship-order"))
    rows = page.locator("#result_list tbody tr")
    assert rows.count() == 2
    assert all(page.locator(f"a[href*='{run.id}']").count() == 1 for run in failed)
    assert page.locator(f"a[href*='{good.id}']").count() == 0
    page.goto(page.url)
    assert rows.count() == 2
    browser.check(page, budget=4)
    assert "2 shown of 2" in " ".join(page.locator(".dd-foot").inner_text().split())


@both
def test_find_a_run_by_key_id_and_event(browser: Any, make_user: MakeUser, ship: Any, script: bool) -> None:
    """Each leads to one row, however old; a wrong one says that nothing matches."""
    run = ship.start({"good": True}, key="order-42")
    ship.start({"good": True})
    old = timezone.now() - timedelta(days=20)
    Run.objects.filter(id=run.id).update(created_at=old)
    page = browser.open(reverse("admin:durable_django_run_changelist"), user=make_user(), script=script)
    for term in ("order-42", run.id, str(Run.objects.get(id=run.id).event_id)):
        page.locator("#searchbar").fill(term)
        page.locator("#searchbar").press("Enter")
        page.wait_for_url(f"**q={term}*")
        assert page.locator("#result_list tbody tr").count() == 1
        assert page.locator(f"#result_list a[href*='{run.id}']").count() == 1
    page.goto(page.url.split("?")[0] + "?q=order-43")
    assert "No run matches: any time, “order-43”" in page.locator(".dd-empty").inner_text()


@both
def test_why_a_run_does_not_move(browser: Any, make_user: MakeUser, asking: Any, script: bool) -> None:
    """The box names the cause and the way out: event, sleep, retry, child, and a queue without a worker."""

    @workflow(id="napping")
    def napping(ctx: Any) -> None:
        ctx.step.sleep("nap", "3 days")

    @workflow(id="trying")
    def trying(ctx: Any) -> None:
        ctx.step.run("charge", fail, retries=3)

    @workflow(id="parent")
    def parent(ctx: Any) -> None:
        ctx.step.invoke("ask", function=asking)

    runs = {
        "event": (asking.start(), r"“payment” waits for the event “order/paid” until .*send order/paid"),
        "sleeping": (napping.start(), r"“nap” sleeps until .* \(in 2d 23h|“nap” sleeps until .* \(in 3d"),
        "retrying": (trying.start(), r"“charge” failed 1 time with ValueError and is tried again at"),
        "child": (parent.start(), r"“ask” waits for a run of “asking” \(waiting\)"),
    }
    drain()
    runs["no_worker"] = (make_queued(), r"No live worker serves the queue “reports”.*worker -q reports")
    user = make_user()
    page = browser.open(reverse("admin:index"), user=user, script=script)
    for code, (run, sentence) in runs.items():
        page.goto(browser.server + page_of(run))
        box = page.locator("[data-region=why]")
        assert box.locator("[data-cause]").get_attribute("data-cause") == code
        assert re.search(sentence, " ".join(box.inner_text().split()))
        browser.check(page)
    page.goto(browser.server + page_of(runs["child"][0]))
    page.locator("[data-region=why] a").click()
    page.locator("[data-cause=event]").wait_for()


def make_queued() -> Run:
    event = Event.objects.create(name="report/wanted", ts=1, routed_at=timezone.now())
    later = timezone.now() + timedelta(seconds=30)
    return Run.objects.create(workflow="reports", event=event, queue="reports", wake_at=later)


@both
def test_the_error_of_each_attempt(browser: Any, make_user: MakeUser, clock: None, script: bool) -> None:
    """Class, message, own frames, worker and times of attempt 2 of 3; markup in a message is text."""

    @workflow(id="trying")
    def trying(ctx: Any) -> None:
        ctx.step.run("charge", fail, retries=2)

    run = trying.start()
    for _ in range(3):
        advance("1 day")
    assert Attempt.objects.count() == 3
    page = browser.open(page_of(run), user=make_user(), script=script)
    error = page.locator("[data-region=error]").inner_text()
    assert "ValueError" in error
    assert SCRIPT in error
    page.get_by_role("link", name="Attempts", exact=True).click()
    second = page.get_by_role("article", name="charge: attempt 2")
    text = second.inner_text()
    assert f"ValueError: the card was declined {SCRIPT}" in text
    assert "test_console.py" in text
    assert Attempt.objects.get(number=1).worker in text
    assert second.locator("time").count() == 3
    assert page.title().startswith("trying")


def test_watch_a_run_live(browser: Any, make_user: MakeUser, asking: Any) -> None:
    """Each step appears without a reload, an open detail stays open, and the asking ends with the run."""
    run = asking.start()
    page = browser.open(page_of(run), user=make_user())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else None)
    rows = page.locator(".dd-timeline tbody tr")
    assert rows.count() == 2
    state = page.locator(".dd-title .dd-state")
    assert "waiting" in state.inner_text()
    assert page.get_by_role("button", name="Live: on").get_attribute("aria-pressed") == "true"
    page.get_by_role("link", name="Raw").focus()
    send_event("order/paid", {})
    drain()
    rows.nth(2).wait_for(timeout=5_000)
    assert "parcel" in page.locator("[data-region=why]").inner_text()
    assert page.evaluate("document.activeElement.textContent") == "Raw"
    send_event("order/sent", {})
    drain()
    page.locator(".dd-title .dd-completed").wait_for(timeout=5_000)
    assert page.locator("[data-live-status]").text_content() == "completed"
    assert page.get_by_role("button", name="Live").count() == 0
    count = len(asked)
    page.wait_for_timeout(400)
    assert len(asked) == count


def test_a_hidden_payload_stays_hidden(browser: Any, make_user: MakeUser, asking: Any) -> None:
    """The live fragment obeys the permission as the page does, and a lost login is told as such."""
    run = asking.start({"card": "4111"})
    page = browser.open(page_of(run) + "?tab=payloads", user=make_user("view_run"))
    body = page.locator("[data-region=body]")
    assert "Hidden. You need the permission “Can view payloads”." in body.inner_text()
    live = reverse("admin:durable_django_run_live", args=[run.id])
    assert "4111" not in page.request.get(f"{browser.server}{live}?tab=payloads").text()
    seer = browser.open(page_of(run) + "?tab=payloads", user=make_user("view_run", "view_payload"))
    assert "4111" in seer.locator("[data-region=body]").inner_text()
    browser.pages.remove(page)  # it would ask for news, and its console tell that it may not
    page.close()
    page.context.clear_cookies()
    assert page.context.request.get(f"{browser.server}{live}").status == 401


@both
def test_the_timeline_is_a_table(browser: Any, make_user: MakeUser, asking: Any, script: bool) -> None:
    """Name, state, begin and duration of each step are text with headings; the bars are decoration."""
    run = asking.start()
    page = browser.open(page_of(run), user=make_user(), script=script)
    table = page.get_by_role("table", name=f"Steps of run {run.id}: 2 steps")
    told = table.aria_snapshot()
    for word in (
        'columnheader "Step"',
        'columnheader "Duration"',
        'rowheader "prepare"',
        "completed",
        "waiting",
    ):
        assert word in told
    assert "svg" not in told
    assert "img" not in told
    assert table.locator("svg").first.get_attribute("aria-hidden") == "true"
    page.get_by_role("link", name="prepare").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/durable_django/step/**")


def test_ten_thousand_steps_stay_a_page(browser: Any, make_user: MakeUser, asking: Any) -> None:
    """The first page is small, and the one failed step among them is two clicks away."""
    run = asking.start()
    Step.objects.bulk_create(
        Step(run_id=run.id, name="loop", index=number, kind="run", status="completed", output="1")
        for number in range(9_998)
    )
    Step.objects.filter(name="loop", index=7_000).update(status="failed")
    page = browser.open(page_of(run), user=make_user())
    assert page.evaluate("document.querySelectorAll('*').length") < 8_000
    assert "1 failed" in page.locator("[data-region=body]").inner_text()
    page.get_by_role("link", name="Failed only").click()
    page.wait_for_url("**only=failed*")
    assert page.locator(".dd-timeline tbody tr").count() == 1
    assert page.get_by_role("link", name="loop (7001)").count() == 1


@both
def test_cancel_with_confirmation(browser: Any, make_user: MakeUser, asking: Any, script: bool) -> None:
    """The page says what will happen; afterwards the run is cancelled and the log has the reason."""
    run = asking.start()
    user = make_user()
    page = browser.open(page_of(run), user=user, script=script)
    page.get_by_role("link", name="Cancel…").click()
    assert "1 open wait is closed." in page.locator("#content").inner_text()
    browser.check(page)
    assert Run.objects.get(id=run.id).status == "waiting"
    page.get_by_label("Reason").fill("ordered twice")
    page.get_by_role("button", name="Cancel the run").click()
    page.wait_for_url(f"**{page_of(run)}")
    assert "The run was cancelled." in page.locator(".messagelist").inner_text()
    assert "cancelled" in page.locator(".dd-title").inner_text()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.reason, entry.result) == (
        f"user:{user.pk} {user.username}",
        "ordered twice",
        "cancelled",
    )
    page.get_by_role("link", name="Operator actions").click()
    assert "ordered twice" in page.locator("[data-region=body]").inner_text()


def test_cancel_a_run_that_ended_meanwhile(browser: Any, make_user: MakeUser, asking: Any) -> None:
    """Nothing is done, the page says why, and the log says that it was refused."""
    run = asking.start()
    page = browser.open(reverse("admin:durable_django_run_cancel", args=[run.id]), user=make_user())
    for name in ("order/paid", "order/sent"):
        send_event(name, {})
        drain()
    page.get_by_role("button", name="Cancel the run").click()
    told = page.locator(".messagelist").inner_text()
    assert f"Nothing was done: run {run.id} is already completed" in told
    assert "(it was waiting when you opened the page)" in told
    assert AuditEntry.objects.get().result == "refused: completed"
    assert Run.objects.get(id=run.id).status == "completed"


def test_a_form_acts_once(browser: Any, make_user: MakeUser, ship: Any) -> None:
    """Sending the form of a rerun a second time starts nothing."""
    run = ship.start()
    page = browser.open(reverse("admin:durable_django_run_rerun", args=[run.id]), user=make_user())
    form = page.locator("#content form").evaluate("each => Object.fromEntries(new FormData(each))")
    assert "charge, reserve" in page.locator("#content").inner_text()
    page.get_by_role("button", name="Start a new run").click()
    page.get_by_text("A new run was started:").wait_for()
    assert Run.objects.filter(rerun_of=run.id).count() == 1
    again = page.request.post(
        browser.server + reverse("admin:durable_django_run_rerun", args=[run.id]),
        form=form,
        headers={"Referer": browser.server},
    )
    assert "this form was sent before" in again.text()
    assert Run.objects.filter(rerun_of=run.id).count() == 1


@both
def test_retry_a_failed_run(browser: Any, make_user: MakeUser, ship: Any, script: bool) -> None:
    """The page names the step; the completed one is not executed again."""
    run = ship.start()
    page = browser.open(page_of(run), user=make_user(), script=script)
    page.get_by_role("link", name="Retry…").click()
    assert "The step “charge” is tried again" in page.locator("#content").inner_text()
    before = Step.objects.get(name="reserve").ended_at
    browser.check(page)
    page.get_by_role("button", name="Retry the run").click()
    page.get_by_text("The run is queued again.").wait_for()
    assert Step.objects.get(name="reserve").ended_at == before
    assert AuditEntry.objects.get().action == "retry"


@both
def test_a_viewer_can_do_nothing(browser: Any, make_user: MakeUser, asking: Any, script: bool) -> None:
    """No button is there, and a hand-made POST is refused and noted."""
    run = asking.start()
    viewer = make_user("view_run", "view_step")
    page = browser.open(page_of(run), user=viewer, script=script)
    assert page.locator(".dd-buttons").count() == 0
    token = next(each["value"] for each in page.context.cookies() if each["name"] == "csrftoken")
    headers = {"X-CSRFToken": token, "Referer": browser.server}
    for verb in ("cancel", "retry", "rerun"):
        url = browser.server + reverse(f"admin:durable_django_run_{verb}", args=[run.id])
        assert page.request.post(url, headers=headers, form={"reason": "x"}).status == 403
        assert page.request.get(url).status == 403
    told = list(AuditEntry.objects.values_list("actor", "action", "result").order_by("id"))
    assert told == [
        (f"user:{viewer.pk} {viewer.username}", verb, "denied") for verb in ("cancel", "retry", "rerun")
    ]
    assert (Run.objects.get(id=run.id).status, Run.objects.count()) == ("waiting", 1)


@both
def test_the_overview_leads_to_what_needs_somebody(
    browser: Any, make_user: MakeUser, ship: Any, script: bool
) -> None:
    """One click from the app's page; each line leads to its runs."""
    ship.start()
    make_queued()
    page = browser.open(reverse("admin:app_list", args=["durable_django"]), user=make_user(), script=script)
    page.get_by_role("link", name="Overview of the durable workflows").click()
    told = page.locator(".dd").inner_text()
    assert "No live worker serves the queue “reports”" in told
    assert "Nobody has ticked yet." in told
    page.get_by_role("link", name="1 run of “ship-order” failed").click()
    page.wait_for_url(re.compile("workflow=ship-order"))
    assert page.locator("#result_list tbody tr").count() == 1


def test_narrow_pages_do_not_scroll_sideways(browser: Any, make_user: MakeUser, ship: Any) -> None:
    """At 360 pixels each page of ours fits its width; wide tables scroll inside themselves."""
    run = ship.start()
    page = browser.open(page_of(run), user=make_user(), viewport={"width": 360, "height": 740})
    paths = [f"{page_of(run)}?tab={tab}" for tab in ("steps", "payloads", "waits", "attempts", "raw")]
    paths += [
        reverse("admin:durable_django_overview"),
        reverse("admin:durable_django_run_rerun", args=[run.id]),
    ]
    for path in paths:
        page.goto(browser.server + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
