"""Each page of runs, steps, events and waits, as people see it: light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from durable_django import send_event, workflow
from durable_django.engine.alias import get_alias
from durable_django.engine.rollup import roll_up
from durable_django.models import AuditEntry, BulkOperation, Event, Run, Step, Wait, Worker
from durable_django.testing import advance, drain, reset_clock
from tests.acceptance.test_console_list import make_live, make_run

pytestmark = [pytest.mark.timeout(400), pytest.mark.parametrize("store", ["sqlite"], indirect=True)]
MakeUser = Callable[..., User]
WIDTHS = {"wide": 1280, "narrow": 360}


def decline() -> None:
    raise ConnectionError("The card service did not answer within 5 s.")


@pytest.fixture
def shop() -> Any:
    """Runs of a shop: one waits for its payment, one retries, one has shipped, one sleeps."""

    @workflow(id="ship-order", trigger="order/placed", version="v14")
    def ship(ctx: Any) -> Any:
        order = ctx.event.data
        ctx.step.run("reserve-stock", lambda: {"shelf": "B-12", "items": 3})
        if order["customer"] == "unlucky":
            ctx.step.run("charge-card", decline, retries=4)
        ctx.step.wait_for_event(
            "payment",
            event="order/paid",
            if_exp="async.data.order == event.data.order && async.data.amount >= event.data.total",
            timeout="2 days",
        )
        ctx.step.run("send-parcel", lambda: {"tracking": "DD-4711"})
        if order["customer"] == "patient":
            ctx.step.sleep("ask-later", "3 days")
        return {"shipped": True}

    ids = {}
    for customer, total in (("ann", 40), ("unlucky", 15), ("patient", 25), ("bob", 30)):
        order = {"order": f"order-{customer}", "customer": customer, "total": total, "password": "secret"}
        ids[customer] = send_event("order/placed", order)
    drain()
    for customer in ("patient", "bob"):
        ids[f"paid-{customer}"] = send_event("order/paid", {"order": f"order-{customer}", "amount": 30})
    ids["misspelt"] = send_event("order/payed", {"order": "order-ann", "amount": 40})
    drain()
    advance("20 seconds")
    make_company()
    ids["long"] = make_long_run().event_id
    roll_up(get_alias(), timezone.now())
    spread(Run.objects.get(event_id=ids["patient"]))
    yield {name: Run.objects.filter(event_id=found).first() or found for name, found in ids.items()}
    reset_clock()


def make_company() -> None:
    """Store what a site has besides: older runs, workers, an operation on many runs."""
    now = timezone.now()
    for number in range(16):
        begin = now - timedelta(minutes=7 + 11 * number)
        ended = begin + timedelta(seconds=3 + number * 7)
        fields = {"status": "failed" if number % 7 == 4 else "completed", "key": f"order-{4711 - number}"}
        make_run(
            workflow="ship-order",
            age=now - begin,
            started_at=begin,
            ended_at=ended,
            queue="durable",
            **fields,
        )
    running = {"owner": "app-1.example.com:4711", "started_at": now - timedelta(seconds=40)}
    make_live("running", workflow="ship-order", queue="durable", key="order-4712", **running)
    said = {"package": "0.1.0", "code": "2026-11-21.3", "slots": 8, "busy": 1}
    fault = "OperationalError: server closed the connection unexpectedly"
    for name, kind, seen, told in (
        ("app-1.example.com:4711", "worker", now + timedelta(minutes=20), said),
        (
            "app-2.example.com:812",
            "celery",
            now - timedelta(minutes=9),
            {**said, "busy": 0, "last_error": fault, "last_error_at": now - timedelta(minutes=9)},
        ),
        ("tick", "tick", now + timedelta(minutes=20), {}),
    ):
        begin = now - timedelta(hours=30)
        Worker.objects.create(name=name, kind=kind, queues="durable", started_at=begin, seen_at=seen, **told)
    for number, (action, result) in enumerate((("cancel", "cancelled"), ("retry", "refused: waiting"))):
        AuditEntry.objects.create(
            actor="user:1 ann",
            action=action,
            run_id=Run.objects.order_by("pk")[number].pk,
            workflow="ship-order",
            reason="wrong price",
            result=result,
            ip="192.0.2.7",
            bulk_id=17,
        )
    BulkOperation.objects.create(
        pk=17,
        action="cancel",
        filter={"workflow": "ship-order", "status": ["queued", "waiting"]},
        actor="user:1 ann",
        reason="wrong price",
        matched=12_400,
        done=8_200,
        skipped=13,
        failed=2,
        owner="app-1.example.com:4711",
        lease_until=now + timedelta(minutes=20),
    )


def spread(run: Run) -> None:
    """Let a run look as if its steps had taken time."""
    begin = timezone.now() - timedelta(minutes=42)
    Run.objects.filter(pk=run.pk).update(created_at=begin, started_at=begin)
    times = {
        "reserve-stock": (0.2, 3.1),
        "payment": (3.2, 1_220.0),
        "send-parcel": (1_220.2, 1_227.5),
        "ask-later": (1_227.6, None),
    }
    for name, (start, end) in times.items():
        fields = {"started_at": begin + timedelta(seconds=start)}
        if end is not None:
            fields["ended_at"] = begin + timedelta(seconds=end)
        Step.objects.filter(run=run, name=name).update(**fields)


def make_long_run() -> Run:
    """Store a run of a thousand steps, with a retry, two failures, a child, an hour of sleep and branches."""
    begin = timezone.now() - timedelta(hours=2)
    run = make_live("running", workflow="import-catalogue", queue="durable", owner="app-1.example.com:4711")
    Run.objects.filter(pk=run.pk).update(created_at=begin, started_at=begin)
    steps = []
    for number in range(1_000):
        name = ("fetch-page", "parse-page", "store-item", "charge-card")[min(number % 7, 3)]
        start = begin + timedelta(seconds=number * 1.7 + (3_600 if number > 500 else 0))
        status = {610: "failed", 903: "failed", 998: "retrying"}.get(number, "completed")
        ended = None if status == "retrying" else start + timedelta(seconds=0.3 + number % 11 / 4)
        steps.append(
            Step(
                run=run,
                name=name,
                index=number,
                kind="run",
                status=status,
                attempt=int(status == "retrying"),
                started_at=start,
                ended_at=ended,
                ready_at=timezone.now() + timedelta(minutes=3) if ended is None else None,
            )
        )
    Step.objects.bulk_create(steps, batch_size=500)
    for number, kind in enumerate(("sleep", "event")):
        due = timezone.now() + timedelta(hours=number + 1)
        Step.objects.create(run=run, name=f"wait-{kind}", kind=kind, status="waiting", ready_at=due)
    return run


def list_paths(shop: Any) -> dict[str, str]:
    """Return the address of each page under the name of its picture."""

    def path(name: str, *args: Any) -> str:
        return reverse(f"admin:durable_django_{name}", args=args)

    unlucky, ann = shop["unlucky"], shop["ann"]
    wait = Wait.objects.get(run=ann, kind="event")
    charge = Step.objects.get(run=unlucky, name="charge-card")
    return {
        "run": path("run_change", shop["patient"].pk),
        "run-retrying": path("run_change", unlucky.pk),
        "run-waiting": path("run_change", ann.pk),
        "run-cancel": path("run_cancel", ann.pk),
        "run-retry-now": path("run_wake", unlucky.pk),
        "run-rerun": path("run_rerun", shop["bob"].pk),
        "run-rerun-from": path("run_rerun_from", shop["bob"].pk),
        "run-long": path("run_change", shop["long"].pk),
        "run-long-failed": path("run_change", shop["long"].pk) + "?tab=steps&only=failed",
        "step": path("step_change", charge.pk),
        "step-supply": path("step_supply", charge.pk),
        "runs": path("run_changelist"),
        "runs-none": path("run_changelist") + "?status=stuck",
        "overview-busy": path("overview"),
        "workflows": path("workflowstate_changelist"),
        "workflow": path("workflowstate_change", "ship-order"),
        "log": path("auditentry_changelist"),
        "log-filtered": path("auditentry_changelist") + "?reason=price",
        "workers": path("worker_changelist"),
        "bulk": path("bulkoperation_change", 17),
        "waits": path("wait_changelist"),
        "waits-sleeping": path("wait_changelist") + "?kind=sleep",
        "wait": path("wait_change", wait.pk),
        "wait-resolve": path("wait_resolve", wait.pk),
        "wait-timeout": path("wait_timeout", wait.pk),
        "wait-extend": path("wait_extend", wait.pk),
        "events": path("event_changelist"),
        "event": path("event_change", shop["paid-bob"]),
        "event-nothing": path("event_change", shop["misspelt"]),
        "event-resend": path("event_resend", shop["paid-bob"]),
        "event-send-form": path("event_send") + "?name=order/paid",
        "workflow-invoke": path("workflow_invoke", "ship-order"),
        "workflow-pause": path("workflow_pause", "ship-order"),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_each_page_passes_the_gates(
    browser: Any, make_user: MakeUser, shop: Any, scheme: str, width: str
) -> None:
    """No violation, nothing wider than the window, few queries, in both schemes and at both widths."""
    page = browser.open(
        reverse("admin:index"),
        user=make_user(),
        color_scheme=scheme,
        viewport={"width": WIDTHS[width], "height": 800},
    )
    found = []
    for name, path in list_paths(shop).items():
        page.goto(browser.server + path)
        plain = (scheme, width) == ("light", "wide")
        found += browser.judge(page, name if plain else f"{name}-{scheme}-{width}")
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_the_shop_is_what_the_pictures_show(store: Any, shop: Any) -> None:
    """One waits for its payment, one retries, one sleeps, one is done; one event found nobody."""
    found = {name: (run.status, run.waits_for) for name, run in shop.items() if isinstance(run, Run)}
    assert found == {
        "ann": ("waiting", "event"),
        "unlucky": ("waiting", "retry"),
        "patient": ("waiting", "sleep"),
        "bob": ("completed", ""),
        "long": ("running", ""),
    }
    assert Event.objects.get(pk=shop["misspelt"]).reasons
