"""Scenes of starts: cron, model changes, keys, transactions of the project's own."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from durable_django import Cron, ModelChange, workflow
from durable_django import send_event as send_now
from durable_django.define.registry import registry
from tests.bodies import make
from tests.crash.deeds import send, wait_until
from tests.crash.scene import add
from tests.crash.world import effect, row


@add(
    "cron",
    wait_until("1s"),  # the schedule is seen
    wait_until("200d"),
    wait_until("360d"),
    expected=[],
)
def cron(kind: str) -> None:
    @workflow(id="half-yearly", trigger=Cron("0 0 1 1,7 *", catchup="all"))
    @lambda body: make(kind, body)
    def half_yearly(ctx: Any) -> Any:
        return (yield ctx.step.run("tick", row, str(ctx.event.data["scheduled_at"]), atomic=True))


def change() -> None:
    from tests.app.models import Ticket

    Ticket.objects.get_or_create(title="one")


@add(
    "model",
    change,
    expected=[["ticket", "completed", '"t"']],
)
def model(kind: str) -> None:
    from durable_django.engine.model_changes import connect

    @workflow(id="ticket", trigger=ModelChange("testapp.Ticket", "created"))
    @lambda body: make(kind, body)
    def ticket(ctx: Any) -> Any:
        return (yield ctx.step.run("t", effect, "t"))

    connect(registry.get("ticket"))


def start_with_key() -> None:
    registry.get("keyed").start({"n": 1}, key="once")


def write_and_send() -> None:
    """Write a row of the project's own and send an event: both or neither."""
    from tests.app.models import Effect

    with transaction.atomic():
        _, created = Effect.objects.get_or_create(key="order")
        if created:
            send_now("crash/own", {"n": 1})


@add(
    "start",
    start_with_key,
    write_and_send,
    send("crash/keyed", n=5),
    expected=[
        ["keyed", "completed", '"k1"'],
        ["keyed", "completed", '"k5"'],
        ["own", "completed", '"o"'],
    ],
)
def start(kind: str) -> None:
    @workflow(id="keyed", trigger="crash/keyed", idempotency="event.data.n")
    @lambda body: make(kind, body)
    def keyed(ctx: Any) -> Any:
        return (yield ctx.step.run("k", effect, f"k{ctx.event.data['n']}"))

    @workflow(id="own", trigger="crash/own")
    @lambda body: make(kind, body)
    def own(ctx: Any) -> Any:
        return (yield ctx.step.run("o", row, "o", atomic=True))
