"""What the forms of the console let one choose, and that it is done so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from durable_django import Cron, workflow
from durable_django.engine.bulk import start_bulk
from durable_django.engine.keys import create_key
from durable_django.models import Attempt, AuditEntry, BulkOperation, Run, Step, WorkflowState
from durable_django.models.audit import acting_from
from durable_django.testing import advance, drain, reset_clock
from tests.commands import run_durable
from tests.plugins.store import Store
from tests.quiet import QUIET


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    """Take back every ``advance`` of the test."""
    yield
    reset_clock()


def path(name: str, *args: Any) -> str:
    return reverse(f"admin:durable_django_{name}", args=args)


def read(page: Any) -> str:
    return re.sub(r"\s+", " ", strip_tags(page.content.decode()))


def confirm(client: Client, url: str, **form: Any) -> Any:
    """Open the page of an action, send its form, and return the page that follows."""
    page = client.get(url)
    found = re.search(r'name="mark" value="([\w-]+)"', page.content.decode())
    assert found is not None, read(page)
    return client.post(url, {"mark": found[1], **form}, follow=True)


def break_down() -> None:
    raise ValueError("broken")


def test_a_retry_may_be_given_one_attempt(store: Store, admin_client: Client) -> None:
    """The form offers one attempt, three, or all that are declared; one is one."""

    @workflow(id="failing", retries=4, backoff="1s")
    def failing(ctx: Any) -> None:
        ctx.step.run("charge", break_down)

    run = failing.start()
    drain()
    for _ in range(5):
        advance("1m")
    assert run.status == "failed"
    url = path("run_retry", run.id)
    asked = read(admin_client.get(url))
    for text in (
        "5 attempts, as the code declares",
        "1 attempt",
        "3 attempts",
        "step “charge” is tried again",
    ):
        assert text in asked
    confirm(admin_client, url, attempts="1")
    drain()
    assert run.status == "failed"
    confirm(admin_client, url)
    drain()
    assert run.status == "waiting"
    entries = AuditEntry.objects.order_by("id").values_list("result", flat=True)
    assert list(entries) == ["queued, at most 1 attempts", "queued"]


def test_a_step_with_one_attempt_leaves_no_choice(store: Store, admin_client: Client) -> None:
    """Without retries there is nothing to choose, and other numbers are not taken."""

    @workflow(id="failing", retries=0)
    def failing(ctx: Any) -> None:
        ctx.step.run("charge", break_down)

    run = failing.start()
    drain()
    url = path("run_retry", run.id)
    assert 'name="attempts"' not in admin_client.get(url).content.decode()
    confirm(admin_client, url, attempts="3")
    drain()
    assert (run.status, Attempt.objects.count()) == ("failed", 2)


@pytest.fixture
def flow(store: Store, configure: Any) -> Any:
    """A workflow with a run that sleeps in its middle, and one that has not begun."""

    @workflow(id="shop/flow")
    def flow(ctx: Any) -> str:
        if ctx.event.data.get("nap"):
            ctx.step.sleep("nap", "1h")
        return "done"

    flow.start({"nap": True})
    drain()
    configure(DISPATCHER=QUIET)
    flow.start()
    return flow


def test_a_pause_tells_what_is_there_and_cancels_on_demand(
    store: Store, admin_client: Client, flow: Any
) -> None:
    """The question counts both kinds of runs; who chooses so cancels those that have begun."""
    url = path("workflow_pause", "shop/flow")
    asked = read(admin_client.get(url))
    assert "Runs that have begun: 1." in asked
    assert "Runs that have not begun: 1." in asked
    confirm(admin_client, url, running="cancel", reason="wrong price")
    drain()
    assert list(Run.objects.order_by("id").values_list("status", flat=True)) == ["cancelled", "paused"]


def test_a_resumption_counts_what_starts_and_what_goes_on(
    store: Store, admin_client: Client, flow: Any
) -> None:
    """Queued runs and stopped ones are told apart; the former can be skipped first, and are listed then."""
    confirm(admin_client, path("workflow_pause", "shop/flow"), running="stop")
    advance("2h")
    for _ in range(2):
        flow.start()
    url = path("workflow_resume", "shop/flow")
    asked = read(admin_client.get(url))
    assert "3 queued runs will start, as fast as the workers take them." in asked
    assert "1 run that was stopped goes on with its next step." in asked
    found = re.search(r'href="([^"]+bulk[^"]+)">skip them first', admin_client.get(url).content.decode())
    assert found is not None
    skip = unescape(found[1])
    page = admin_client.get(skip)
    assert "Cancel 3 runs?" in read(page)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.content.decode()))
    admin_client.post(skip, {name: unescape(value) for name, value in hidden.items()})
    drain()
    statuses = list(Run.objects.order_by("id").values_list("status", flat=True))
    assert statuses == ["paused", "cancelled", "cancelled", "cancelled"]
    assert "0 queued runs" in read(admin_client.get(url))
    confirm(admin_client, url)
    drain()
    assert Run.objects.order_by("id")[0].status == "completed"


def test_who_may_not_cancel_many_cannot_do_so_by_a_pause(store: Store, flow: Any) -> None:
    """The choice is not offered, and not taken from a form of one's own."""
    user = User.objects.create_user("ops", is_staff=True)
    granted = ["view_workflowstate", "pause_workflow", "cancel_run"]
    user.user_permissions.set(Permission.objects.filter(codename__in=granted))
    client = Client()
    client.force_login(user)
    url = path("workflow_pause", "shop/flow")
    assert 'value="cancel"' not in client.get(url).content.decode()
    confirm(client, url, running="cancel")
    assert not BulkOperation.objects.exists()
    assert not WorkflowState.objects.filter(paused_at__isnull=False).exists()


def test_the_log_names_the_address_of_who_acted(store: Store, admin_client: Client, flow: Any) -> None:
    """Forms, list actions, refusals and the HTTP API leave it; a command, and what workers do, have none."""
    first, second = Run.objects.order_by("id")
    url = path("run_cancel", first.pk)
    page = admin_client.get(url)
    mark = re.search(r'name="mark" value="([\w-]+)"', page.content.decode())
    assert mark is not None
    admin_client.post(url, {"mark": mark[1]}, REMOTE_ADDR="10.1.2.3")
    form = {"action": "retry_selected", "_selected_action": [str(first.pk)], "confirmed": "yes"}
    admin_client.post(f"{path('run_changelist')}?created=all", form, REMOTE_ADDR="2001:db8::7")
    Client().post(url, REMOTE_ADDR="10.9.9.9")  # not logged in: there is nobody to note
    key = create_key("ops", actor="t", scopes=["operate"]).text
    Client().delete(
        f"/durable/v1/runs/{second.pk}", headers={"authorization": f"Bearer {key}"}, REMOTE_ADDR="10.1.2.4"
    )
    run_durable("cancel", str(first.pk))
    rows = AuditEntry.objects.filter(run_id__isnull=False).order_by("id").values_list("action", "ip")
    assert list(rows) == [
        ("cancel", "10.1.2.3"),
        ("retry", "2001:db8::7"),
        ("cancel", "10.1.2.4"),
        ("cancel", ""),
    ]
    found = read(admin_client.get(path("auditentry_changelist"), {"q": "10.1.2.3"}))
    assert "10.1.2.3" in found
    assert "10.1.2.4" not in found


def test_a_bulk_operation_keeps_the_address_of_who_started_it(
    store: Store, admin_client: Client, flow: Any
) -> None:
    """Its own row has it; the rows of what a worker does have the operation instead."""
    with acting_from("10.1.2.3"):
        bulk = start_bulk("cancel", {"workflow": "shop/flow"}, actor="ann")
    drain()
    rows = AuditEntry.objects.filter(bulk_id=bulk.pk).order_by("id").values_list("action", "ip")
    assert list(rows) == [("bulk cancel", "10.1.2.3"), ("cancel", ""), ("cancel", "")]


def test_a_pause_may_skip_new_runs(store: Store, admin_client: Client, flow: Any) -> None:
    """The choice is asked, kept, told on the pages, and its runs are listed for a retry."""
    url = path("workflow_pause", "shop/flow")
    assert "queue up and start on resume" in read(admin_client.get(url))
    confirm(admin_client, url, running="finish", new="skip")
    assert WorkflowState.objects.get(id="shop/flow").pause_new == "skip"
    late = flow.start()
    assert "this one will be cancelled" in read(admin_client.get(path("run_change", late.id)))
    assert "New runs are skipped" in read(admin_client.get(path("workflowstate_change", quote("shop/flow"))))
    assert "new runs are skipped" in read(admin_client.get(path("overview")))
    assert re.search(r'value="skip"[^>]*checked', admin_client.get(url).content.decode())
    resume = admin_client.get(path("workflow_resume", "shop/flow"))
    assert "1 queued run will start" in read(resume)
    listed = re.search(r'href="([^"]+)">cancelled runs', resume.content.decode())
    assert listed is not None
    advance("1m")
    assert late.id in admin_client.get(unescape(listed[1])).content.decode()


@pytest.fixture
def keyed(store: Store) -> Any:
    """A workflow whose runs sleep on demand."""

    @workflow(id="order", version="v1")
    def order(ctx: Any) -> str:
        ctx.step.run("charge", str)
        if ctx.event.data.get("nap"):
            ctx.step.sleep("nap", "1h")
        return str(ctx.step.run("notify", str))

    return order


@pytest.mark.parametrize("action", ["run_rerun", "run_rerun_from"])
def test_a_key_that_is_in_use_is_told_before_a_rerun(
    store: Store, admin_client: Client, keyed: Any, action: str
) -> None:
    """Who keeps the key starts nothing while its run goes on; who takes another one starts a run."""
    ended = keyed.start({}, key="order-42")
    drain()
    Run.objects.update(start_key=None)
    holder = keyed.start({"nap": True}, key="order-42")
    drain()
    url = path(action, ended.id)
    step = {"step": str(Step.objects.filter(run_id=ended.id)[0].pk), "payload": "{}"}
    asked = read(admin_client.get(url))
    assert f"The key order-42 belongs to run {holder.id}, which is waiting." in asked
    told = read(confirm(admin_client, url, held="stop", **step))
    assert f"Nothing was done: the key order-42 belongs to run {holder.id}" in told
    assert Run.objects.count() == 2
    assert AuditEntry.objects.get().result.startswith("refused")
    confirm(admin_client, url, held="new", key="order-42b", **step)
    assert Run.objects.latest("id").key == "order-42b"
    confirm(admin_client, url, held="new", key="", **step)
    assert Run.objects.latest("id").key == ""
    advance("2h")
    assert holder.status == "completed"
    page = admin_client.get(url)
    assert 'name="held"' not in page.content.decode()
    assert "The new run has the same key, order-42." in read(page)
    confirm(admin_client, url, held="stop", **step)
    assert Run.objects.latest("id").key == "order-42"


def test_a_rerun_tells_how_the_steps_have_changed(
    store: Store, admin_client: Client, keyed: Any, registry: Any
) -> None:
    """With another version of the code, its newest completed run says which steps are new and which are gone."""
    old = keyed.start({"nap": True})
    drain()
    advance("2h")
    registry.restore({})

    @workflow(id="order", version="v2")
    def order(ctx: Any) -> str:
        ctx.step.run("charge", str)
        ctx.step.run("invoice", str)
        return str(ctx.step.run("notify", str))

    url = path("run_rerun_from", old.id)
    asked = read(admin_client.get(url))
    assert "The code version was v1 then and is v2 now." in asked
    assert "No run of that version has completed yet" in asked
    order.start({})
    drain()
    third = Step.objects.get(run_id=old.id, name="notify")
    asked = read(admin_client.get(url, {"step": third.pk}))
    assert "Steps that runs of now have and this one lacks: invoice." in asked
    assert "Steps that this run has and runs of now lack: nap." in asked
    assert "From “notify” on: 2 finished steps are copied." in asked
    assert "invoice" in read(admin_client.get(path("run_rerun", old.id)))


def test_what_is_due_can_be_done_now(store: Store, admin_client: Client) -> None:
    """A schedule, a sleeper and a run that retries have their buttons in the list of the next 24 hours."""

    @workflow(id="daily", trigger=Cron("0 0 * * *"))
    def daily(ctx: Any) -> None:
        return None

    @workflow(id="napping")
    def napping(ctx: Any) -> None:
        ctx.step.sleep("nap", "1h")

    @workflow(id="failing", backoff="1h")
    def failing(ctx: Any) -> None:
        ctx.step.run("charge", break_down)

    @workflow(id="asking")
    def asking(ctx: Any) -> None:
        ctx.step.wait_for_event("ask", event="app/answer", timeout="1h")

    sleeper, failed, waiter = napping.start(), failing.start(), asking.start()
    advance("1s")
    page = admin_client.get(path("worker_changelist")).content.decode()
    assert path("workflow_invoke", "daily") in page
    assert path("run_wake", sleeper.id) in page
    assert path("run_wake", failed.id) in page
    assert path("run_wake", waiter.id) not in page
    asked = read(admin_client.get(path("run_wake", failed.id)))
    assert "Retry step “charge” (attempt 2) now instead of at" in asked


def test_the_list_of_bulk_operations_tells_speed_and_reason(
    store: Store, admin_client: Client, flow: Any
) -> None:
    """Why it was started and how fast it went are in its row."""
    start_bulk("cancel", {"workflow": "shop/flow"}, actor="ann", reason="wrong price")
    drain()
    BulkOperation.objects.update(changed_at=F("created_at") + timedelta(seconds=4))
    shown = read(admin_client.get(path("bulkoperation_changelist")))
    assert "0.5 a second" in shown
    assert "wrong price" in shown
