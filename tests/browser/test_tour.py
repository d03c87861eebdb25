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
from durable_django.models import Event, Run, Step, Wait
from durable_django.testing import advance, drain, reset_clock

pytestmark = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
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
    spread(Run.objects.get(event_id=ids["patient"]))
    yield {name: Run.objects.filter(event_id=found).first() or found for name, found in ids.items()}
    reset_clock()


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
        "step": path("step_change", charge.pk),
        "step-supply": path("step_supply", charge.pk),
        "waits": path("wait_changelist"),
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
    }
    assert Event.objects.get(pk=shop["misspelt"]).reasons
