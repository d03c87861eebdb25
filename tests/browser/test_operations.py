"""What operators do, in a real browser; each task also without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from durable_django import send_event, workflow
from durable_django.models import AuditEntry, Event, Run, Step, Wait
from durable_django.testing import advance, drain, reset_clock
from tests.browser.conftest import page_of

pytestmark = [pytest.mark.timeout(400), pytest.mark.parametrize("store", ["sqlite"], indirect=True)]
both = pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
MakeUser = Callable[..., User]


@pytest.fixture
def clock() -> Any:
    yield
    reset_clock()


def path(name: str, *args: Any) -> str:
    return reverse(f"admin:durable_django_{name}", args=args)


def read_log() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "reason"))


def told(page: Any) -> str:
    return " ".join(page.locator(".messagelist").inner_text().split())


@both
def test_cancel_with_the_runs_it_invoked(browser: Any, make_user: MakeUser, script: bool) -> None:
    """The page counts them; "cancel them too" ends all; each end has its row with the reason."""

    @workflow(id="child")
    def child(ctx: Any) -> None:
        ctx.step.sleep("nap", "3 days")

    @workflow(id="parent")
    def parent(ctx: Any) -> None:
        ctx.step.invoke("ask", function=child)

    run = parent.start()
    drain()
    page = browser.open(page_of(run), user=make_user(), script=script)
    page.get_by_role("link", name="Cancel…").click()
    assert "It invoked 1 run that has not ended." in page.locator(".dd-ask").inner_text()
    page.get_by_label("cancel them too").check()
    browser.check(page)
    page.get_by_label("Reason").fill("ordered twice")
    page.get_by_role("button", name="Cancel the run").click()
    assert "The run was cancelled." in told(page)
    assert set(Run.objects.values_list("status", flat=True)) == {"cancelled"}
    assert ("cancel", "ordered twice") in read_log()
    page.reload()
    assert set(Run.objects.values_list("status", flat=True)) == {"cancelled"}


@both
def test_retry_now(browser: Any, make_user: MakeUser, clock: None, script: bool) -> None:
    """The next attempt starts at once, and what was completed before is not executed again."""
    calls: list[str] = []

    @workflow(id="trying")
    def trying(ctx: Any) -> str:
        ctx.step.run("reserve", lambda: calls.append("reserve"))
        return str(ctx.step.run("charge", charge, retries=4))

    def charge() -> str:
        calls.append("charge")
        if len(calls) < 3:
            raise ConnectionError("no answer")
        return "charged"

    run = trying.start()
    page = browser.open(page_of(run), user=make_user(), script=script)
    page.get_by_role("link", name="Retry now…").click()
    assert "Retry step “charge” (attempt 2) now instead of at" in page.locator(".dd-ask").inner_text()
    browser.check(page)
    page.get_by_role("button", name="Retry now").click()
    assert "The run goes on now." in told(page)
    drain()
    assert calls == ["reserve", "charge", "charge"]
    assert Run.objects.get().status == "completed"
    assert read_log() == [("wake", "")]
    page.go_back()
    page.goto(browser.server + path("run_wake", run.id))
    assert f"Nothing was done: run {run.id} is completed." in told(page)
    assert read_log() == [("wake", "")]


@both
def test_rerun_from_a_step_with_another_input(
    browser: Any, make_user: MakeUser, script: bool, settings: Any
) -> None:
    """Wrong JSON is kept and told with its place; the steps before are copied; both runs name each other."""
    calls: list[str] = []

    @workflow(id="four-steps")
    def four(ctx: Any) -> Any:
        amount = ctx.event.data["amount"]
        for name in ("one", "two", "three"):
            ctx.step.run(name, calls.append, f"{name} {amount}")
        return [amount, ctx.event.data["password"]]

    run = four.start({"amount": 1, "password": "hidden"})
    assert Run.objects.get().status == "completed"
    third = Step.objects.get(name="three")
    page = browser.open(path("step_change", third.pk), user=make_user(), script=script)
    page.get_by_role("link", name="Rerun from here…").click()
    assert page.get_by_label("Begin at step").input_value() == str(third.pk)
    text = page.get_by_label("Input", exact=True).input_value()
    assert '"password": "[redacted]"' in text
    broken = text.replace('"amount": 1,', '"amount": 2')
    page.get_by_label("Input", exact=True).fill(broken)
    page.get_by_role("button", name="Start a new run").click()
    assert "(line 3, column 3)" in page.locator(".errorlist").inner_text()
    assert page.get_by_label("Input", exact=True).input_value() == broken
    browser.check(page)
    page.get_by_label("Input", exact=True).fill(text.replace('"amount": 1', '"amount": 2'))
    page.get_by_role("button", name="Show the difference").click()
    assert '+   "amount": 2,' in page.locator("#preview ins").inner_text()
    page.get_by_role("button", name="Start a new run").click()
    assert "A new run was started:" in told(page)
    drain()
    assert calls == ["one 1", "two 1", "three 1", "three 2"]
    new = Run.objects.get(rerun_of=run.id)
    assert (new.status, new.rerun_from, run.result(0)) == ("completed", "three", [1, "hidden"])
    page.goto(browser.server + page_of(new) + "?tab=payloads")
    assert '2,\n  "hidden"' in page.locator("[data-region=body]").inner_text()
    page.goto(browser.server + page_of(new))
    assert "from step\nthree" in page.locator("[data-region=header]").inner_text()
    page.get_by_role("link", name=run.id).click()
    page.get_by_role("link", name="Children & parent").click()
    page.get_by_role("link", name=str(new.pk)).click()
    page.wait_for_url(f"**{page_of(new)}")


@pytest.fixture
def asking() -> Any:
    """A workflow that waits for a decision and returns it."""

    @workflow(id="asking")
    def asking(ctx: Any) -> Any:
        ctx.step.run("prepare", lambda: 1)
        answer = ctx.step.wait_for_event(
            "decision", event="boss/decided", if_exp="async.data.id == event.data.id", timeout="2 days"
        )
        return "no answer" if answer is None else answer.data

    return asking


@both
def test_resolve_an_overdue_wait(
    browser: Any, make_user: MakeUser, asking: Any, clock: None, script: bool
) -> None:
    """The run goes on with exactly that value; the step says who supplied it; a second submit does nothing."""
    run = asking.start({"id": 7})
    drain()
    Wait.objects.update(expires_at="2020-01-01T00:00Z")
    user = make_user()
    page = browser.open(path("wait_changelist"), user=user, script=script)
    page.get_by_role("link", name="overdue", exact=True).click()
    assert "overdue" in page.locator("#result_list tbody tr .dd-state").inner_text()
    browser.check(page, budget=4)
    page.get_by_role("link", name="boss/decided").click()
    assert "async.data.id == event.data.id" in page.locator("#content .dd").first.inner_text()
    browser.check(page)
    page.get_by_role("link", name="Resolve with a value…").click()
    page.get_by_label("Value").fill('{"approved": tru}')
    page.get_by_role("button", name="Resolve with this value").click()
    assert "(line 1, column 14)" in page.locator(".errorlist").inner_text()
    page.get_by_label("Value").fill('{"approved": true, "sum": 12345678901234567890}')
    page.get_by_role("button", name="Resolve with this value").click()
    assert "The wait was resolved" in told(page)
    drain()
    assert run.result(0) == {"approved": True, "sum": 12345678901234567890}
    page.goto(browser.server + page_of(run))
    page.get_by_role("link", name="decision").click()
    assert f"An operator supplied this result: user:{user.pk}" in page.locator(".dd-told").inner_text()
    browser.check(page)
    assert [action for action, _reason in read_log()] == ["resolve"]
    page.goto(browser.server + path("wait_resolve", Wait.objects.get().pk))
    assert "this wait has ended" in told(page)


@both
def test_a_second_submit_of_a_value_does_nothing(
    browser: Any, make_user: MakeUser, asking: Any, script: bool
) -> None:
    """Two operators have the form open: the second is told what became of the wait."""
    run = asking.start({"id": 7})
    drain()
    url = path("wait_resolve", Wait.objects.get().pk)
    first = browser.open(url, user=make_user(), script=script)
    second = browser.open(url, user=make_user(), script=script)
    for page, value in ((first, '{"by": 1}'), (second, '{"by": 2}')):
        page.get_by_label("Value").fill(value)
        page.get_by_role("button", name="Resolve with this value").click()
    assert "Nothing was done: this wait has ended meanwhile (resolved by an operator)." in told(second)
    drain()
    assert run.result(0) == {"by": 1}
    assert AuditEntry.objects.order_by("pk").last().result == "refused: resolved"


@both
def test_wake_a_sleeping_run_and_time_out_a_wait(
    browser: Any, make_user: MakeUser, asking: Any, script: bool
) -> None:
    """Both go on at once, the second on the branch of the time-out."""

    @workflow(id="napping")
    def napping(ctx: Any) -> str:
        ctx.step.sleep("nap", "3 days")
        return "rested"

    asleep, asks = napping.start(), asking.start({"id": 7})
    drain()
    page = browser.open(page_of(asleep), user=make_user(), script=script)
    page.get_by_role("link", name="Wake now…").click()
    browser.check(page)
    page.get_by_role("button", name="Wake now").click()
    drain()
    assert asleep.result(0) == "rested"
    page.goto(browser.server + page_of(asks))
    page.locator("[data-region=why]").get_by_role("link", name="Time out now…").click()
    assert "the step returns None" in page.locator(".dd-ask").inner_text()
    browser.check(page)
    page.get_by_role("button", name="Time out now").click()
    assert "The wait timed out" in told(page)
    drain()
    assert asks.result(0) == "no answer"
    assert [action for action, _reason in read_log()] == ["wake", "time out"]


@both
def test_extend_a_wait(browser: Any, make_user: MakeUser, asking: Any, script: bool) -> None:
    """It ends when the operator says; an instant in the past is refused beside the field."""
    asking.start({"id": 7})
    drain()
    page = browser.open(path("wait_change", Wait.objects.get().pk), user=make_user(), script=script)
    page.get_by_role("link", name="Extend…").click()
    page.get_by_label("Wait until").fill("2020-01-01T00:00:00")
    page.get_by_role("button", name="Wait until then").click()
    assert "it is not in the future" in page.locator(".errorlist").inner_text()
    browser.check(page)
    later = Wait.objects.get().expires_at.replace(microsecond=0, tzinfo=None).isoformat()
    page.get_by_label("Wait until").fill(later)
    page.get_by_role("button", name="Wait until then").click()
    assert "The wait ends at" in told(page)
    assert Wait.objects.get().expires_at.replace(tzinfo=None).isoformat() == later
    results = list(AuditEntry.objects.filter(action="extend").order_by("pk").values_list("result", flat=True))
    assert len([each for each in results if " until " in each]) == 1


@both
def test_skip_a_failing_step(browser: Any, make_user: MakeUser, script: bool) -> None:
    """The workflow goes on with the operator's result, and the step is not tried again."""
    calls: list[int] = []

    @workflow(id="trying")
    def trying(ctx: Any) -> Any:
        return ctx.step.run("charge", charge, retries=4)

    def charge() -> None:
        calls.append(1)
        raise ConnectionError("no answer")

    run = trying.start()
    page = browser.open(page_of(run), user=make_user(), script=script)
    page.get_by_role("link", name="charge", exact=True).click()
    browser.check(page)
    page.get_by_role("link", name="Skip with this result…").click()
    page.get_by_label("Value").fill('{"charged": "by hand"}')
    browser.check(page)
    page.get_by_role("button", name="Go on with this result").click()
    assert "The run goes on with your result." in told(page)
    drain()
    assert run.result(0) == {"charged": "by hand"}
    assert calls == [1]
    assert [action for action, _reason in read_log()] == ["supply"]


@both
def test_send_an_event(browser: Any, make_user: MakeUser, asking: Any, script: bool) -> None:
    """The dry run names the runs and waits, and changes nothing; the event's page links exactly these."""

    @workflow(id="noting", trigger="boss/decided")
    def noting(ctx: Any) -> None:
        pass

    asks = [asking.start({"id": number}) for number in (7, 8)]
    drain()
    before = Event.objects.count()
    page = browser.open(path("event_changelist"), user=make_user(), script=script)
    page.get_by_role("link", name="Send an event…").click()
    page.get_by_label("Name").fill("boss/decided")
    page.get_by_label("Data").fill('{"id": 7, "approved": true}')
    page.get_by_role("button", name="Dry run").click()
    forecast = " ".join(page.locator("#preview").inner_text().split())
    assert "It would start 1 run. It would resume 1 wait." in forecast
    assert "noting" in forecast
    assert asks[0].id in forecast
    assert asks[1].id not in forecast
    page.get_by_text("The same elsewhere").click()
    if script:
        assert "manage.py durable send boss/decided" in page.locator("#preview").inner_text()
    browser.check(page, "event-send" if script else "")
    assert Event.objects.count() == before
    page.get_by_role("button", name="Send the event").click()
    assert "The event was sent:" in told(page)
    drain()
    page.reload()
    started = Run.objects.get(workflow="noting")
    assert page.locator(f"#dd-started a[href*='{started.pk}']").count() == 1
    assert page.locator("#dd-started tbody tr").count() == 1
    assert page.locator(f"#dd-resumed a[href*='{asks[0].id}']").count() == 1
    assert page.locator("#dd-resumed tbody tr").count() == 1
    browser.check(page)
    assert [action for action, _reason in read_log()] == ["send"]
    assert Event.objects.order_by("pk").last().source == "operator"


@both
def test_what_an_event_did_and_did_not(browser: Any, make_user: MakeUser, asking: Any, script: bool) -> None:
    """The wait that it resumed with the values compared, and why another one did not match; it can be sent again."""
    asks = [asking.start({"id": number}) for number in (7, 8)]
    drain()
    sent = send_event("boss/decided", {"id": 7})
    drain()
    page = browser.open(path("event_change", sent), user=make_user(), script=script)
    resumed = " ".join(page.locator("#dd-resumed tbody tr").inner_text().split())
    assert "event.data.id = 7 async.data.id = 7" in resumed
    assert asks[0].id[-8:] in resumed
    missed = page.locator("#dd-unmatched tbody tr").inner_text()
    assert "async.data.id == event.data.id is false: event.data.id = 8, async.data.id = 7" in missed
    browser.check(page)
    page.get_by_role("link", name="Send again…").click()
    page.get_by_label("Data").fill('{"id": 8}')
    page.get_by_role("button", name="Dry run").click()
    assert "It would resume 1 wait." in page.locator("#preview").inner_text()
    browser.check(page)
    page.get_by_role("button", name="Send a new event").click()
    drain()
    assert [run.result(0) for run in asks] == [{"id": 7}, {"id": 8}]
    wait_page = path("wait_change", Wait.objects.get(run=asks[1].id).pk)
    page.goto(browser.server + wait_page)
    assert "async.data.id == event.data.id is false" in page.locator("#content .dd").first.inner_text()
    assert [action for action, _reason in read_log()] == ["resend"]


@both
def test_invoke_by_hand(browser: Any, make_user: MakeUser, asking: Any, script: bool) -> None:
    """Wrong input is told beside the field; the run opens, and names its operator."""
    user = make_user()
    page = browser.open(path("workflow_invoke", "asking"), user=user, script=script)
    page.get_by_label("Input").fill("[1]")
    page.get_by_role("button", name="Start the run").click()
    assert "This must be a JSON object" in page.locator(".dd-field-bad .errorlist").inner_text()
    browser.check(page)
    page.get_by_label("Input").fill('{"id": 7}')
    page.get_by_label("Reason").fill("as asked on the phone")
    page.get_by_role("button", name="Start the run").click()
    assert "A run was started:" in told(page)
    run = Run.objects.get()
    page.wait_for_url(f"**{page_of(run)}")
    assert f"started by\nuser:{user.pk} {user.username}" in page.locator("[data-region=header]").inner_text()
    assert read_log() == [("invoke", "as asked on the phone")]


@both
def test_pause_and_resume(browser: Any, make_user: MakeUser, clock: None, script: bool) -> None:
    """While paused no step starts, in old runs and in new ones; on resume all of them end."""
    calls: list[str] = []

    @workflow(id="steps", trigger="go")
    def steps(ctx: Any) -> None:
        ctx.step.run("one", lambda: calls.append("one"))
        ctx.step.sleep("nap", "1 hour")
        ctx.step.run("two", lambda: calls.append("two"))

    first = steps.start()
    drain()
    user = make_user()
    page = browser.open(path("workflow_pause", "steps"), user=user, script=script)
    page.get_by_label("stop before their next step").check()
    page.get_by_label("Reason").fill("the bank is down")
    browser.check(page)
    page.get_by_role("button", name="Pause the workflow").click()
    assert "“steps” is paused." in told(page)
    send_event("go", {})
    advance("2 hours")
    assert calls == ["one"]
    second = Run.objects.exclude(pk=first.id).get()
    assert second.status == "paused"
    page.goto(browser.server + page_of(second))
    why = page.locator("[data-region=why]")
    assert why.locator("[data-cause]").get_attribute("data-cause") == "paused"
    assert "the bank is down" in why.inner_text()
    browser.check(page)
    why.get_by_role("link", name="Resume the workflow…").click()
    browser.check(page)
    page.get_by_role("button", name="Resume the workflow").click()
    assert "“steps” goes on." in told(page)
    drain()
    advance("2 hours")
    assert sorted(calls) == ["one", "one", "two", "two"]
    assert set(Run.objects.values_list("status", flat=True)) == {"completed"}
    assert read_log() == [("pause", "the bank is down"), ("resume", "")]


@both
def test_a_viewer_finds_no_way_in(browser: Any, make_user: MakeUser, asking: Any, script: bool) -> None:
    """No button, no download, no payload; each hand-made POST is refused and noted, with and without a token."""
    run = asking.start({"id": 7, "card": "4111"})
    drain()
    wait, step = Wait.objects.get(), Step.objects.get(name="prepare")
    event = Run.objects.get().event_id
    views = ("view_run", "view_step", "view_wait", "view_event", "view_attempt", "view_workflowstate")
    viewer = make_user(*views)
    pages = [
        *(page_of(run) + f"?tab={tab}" for tab in ("steps", "payloads", "waits", "family", "raw")),
        path("step_change", step.pk),
        path("wait_change", wait.pk),
        path("event_change", event),
        path("wait_changelist"),
        path("event_changelist"),
    ]
    page = browser.open(path("overview"), user=viewer, script=script)
    for each in pages:
        page.goto(browser.server + each)
        assert page.locator("#content a.dd-button").count() == 0, each
        assert "4111" not in page.content()
    asked = [
        *(path(f"run_{verb}", run.id) for verb in ("cancel", "retry", "wake", "rerun", "rerun_from")),
        *(path(f"wait_{verb}", wait.pk) for verb in ("resolve", "timeout", "extend")),
        path("step_supply", step.pk),
        path("event_send"),
        path("event_resend", event),
        *(path(f"workflow_{verb}", "asking") for verb in ("invoke", "pause", "resume")),
    ]
    token = next(each["value"] for each in page.context.cookies() if each["name"] == "csrftoken")
    headers = {"X-CSRFToken": token, "Referer": browser.server}
    form = {"mark": "x" * 16, "value": "1", "payload": "{}", "name": "boss/decided"}
    for url in asked:
        assert page.request.get(browser.server + url).status == 403, url
        assert page.request.post(browser.server + url, form=form).status == 403, url
        assert page.request.post(browser.server + url, headers=headers, form=form).status == 403, url
    assert page.request.get(browser.server + path("run_export_one", run.id)).status == 403
    assert "4111" not in page.request.get(browser.server + path("run_live", run.id) + "?tab=payloads").text()
    results = AuditEntry.objects.values_list("actor", "result")
    assert list(results) == [(f"user:{viewer.pk} {viewer.username}", "denied")] * len(asked)
    assert (Run.objects.count(), Wait.objects.get().status) == (1, "open")


def test_a_live_page_leaves_the_reader_alone(browser: Any, make_user: MakeUser, clock: None) -> None:
    """What is open stays open, focus and scroll stay where they are, and a hidden tab does not ask."""

    @workflow(id="trying")
    def trying(ctx: Any) -> None:
        for number in range(30):
            ctx.step.run(f"step-{number}", lambda: 1)
        ctx.step.run("charge", decline, retries=4)

    run = trying.start()
    page = browser.open(page_of(run), user=make_user())
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else None)
    page.get_by_text("1 failed attempt", exact=True).click()
    page.get_by_role("link", name="charge", exact=True).focus()
    before = page.evaluate("scrollY")
    advance("1 minute")
    page.get_by_text("2 failed attempts").wait_for()
    assert page.locator("details[data-key][open]").count() == 1
    assert page.evaluate("document.activeElement.textContent") == "charge"
    assert abs(page.evaluate("scrollY") - before) < 40
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for_timeout(300)
    count = len(asked)
    advance("10 minutes")
    page.wait_for_timeout(3_000)
    assert len(asked) == count
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: false});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.get_by_text("3 failed attempts").wait_for()


def decline() -> None:
    raise ConnectionError("no answer")


@both
def test_why_a_run_is_stuck(browser: Any, make_user: MakeUser, script: bool) -> None:
    """Without code, before its time, on a dead worker, with nobody who ticks: the box says so, and what to do."""
    event = Event.objects.create(name="a/b", ts=1, routed_at=timezone.now())
    soon, late = timezone.now() + timedelta(seconds=5), timezone.now() - timedelta(minutes=5)
    causes = {
        "no_code": (
            {"status": "waiting", "waits_for": "code", "wake_at": soon},
            "Deploy a version that has it",
        ),
        "delayed": ({"status": "waiting", "waits_for": "start", "wake_at": soon}, "It starts at"),
        "dead_worker": (
            {"status": "running", "owner": "gone/1", "wake_at": soon},
            "Another worker takes the run",
        ),
        "no_tick": ({"status": "waiting", "waits_for": "event", "wake_at": late}, "manage.py durable tick"),
    }
    page = browser.open(reverse("admin:index"), user=make_user(), script=script)
    for code, (fields, remedy) in causes.items():
        run = Run.objects.create(workflow="lost", event=event, queue="durable", **fields)
        page.goto(browser.server + reverse("admin:durable_django_run_change", args=[run.pk]))
        box = page.locator("[data-region=why]")
        assert box.locator("[data-cause]").get_attribute("data-cause") == code
        assert remedy in box.inner_text()
        browser.check(page)
