"""What ``manage.py durable demo`` plays; the setting DURABLE_DEMO names this module.

The command lives in the reusable app and knows nothing of shops and users, so this module tells it:

``prepare()``  is called once, before anything else, and may be called again later.
``RUNS``       is the list of what to play; the command may play them one after the other or side by side.

For each ``DemoRun`` the command calls ``start()``, which returns the fields that name its subject, such as
``{"order_id": 17}``. The run to watch is the one of ``workflow`` whose event has these fields in its data.
When that run waits for an event that is a key of ``answers``, the command calls the answer once, with the
subject. When the run has ended, it calls ``check(subject, output)``, which returns None if all is as it
should be, and otherwise a sentence that says what is wrong.
"""

from __future__ import annotations

import csv
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings

from example_project.imports.models import Import, RegionTotal
from example_project.imports.operations import request_import
from example_project.onboarding.models import EmailLog
from example_project.onboarding.operations import activate, register
from example_project.shop.models import Order, Product
from example_project.shop.operations import approve_order, place_order, record_payment

Subject = dict[str, Any]
STOCK = 1_000
SMALL, BIG = "Moka pot", "Espresso machine"
PRODUCTS = {SMALL: Decimal("27.49"), BIG: Decimal("449.00")}


@dataclass(frozen=True, kw_only=True)
class DemoRun:
    """One thing to play and to check.

    Args:
        title: one line for the screen.
        workflow: id of the workflow whose run is watched.
        start: does what a user would do; returns the fields of the event's data that name the subject.
        check: given the subject and the run's output, returns what is wrong, or None.
        answers: event name → what to do when the run waits for that event.
        seconds: within which the run should end.
    """

    title: str
    workflow: str
    start: Callable[[], Subject]
    check: Callable[[Subject, Any], str | None]
    answers: Mapping[str, Callable[[Subject], object]] = field(default_factory=dict)
    seconds: float = 60.0


def prepare() -> None:
    """Make sure that the demo's products exist and are in stock."""
    for name, price in PRODUCTS.items():
        Product.objects.update_or_create(name=name, defaults={"price": price, "stock": STOCK})


def _order(name: str, quantity: int) -> Subject:
    order = place_order(Product.objects.get(name=name), quantity, "demo@example.com", cooling_off="1s")
    return {"order_id": order.pk}


def _check_order(subject: Subject, output: Any) -> str | None:
    order = Order.objects.select_related("payment", "shipment").get(pk=subject["order_id"])
    if order.status != Order.Status.SHIPPED:
        return f"the order is {order.status}, not shipped"
    if order.payment.amount != order.total:
        return f"{order.payment.amount} was paid for an order of {order.total}"
    if output["tracking"] != order.shipment.tracking:
        return "the run's output and the shipment have different tracking numbers"
    return None


def _register() -> Subject:
    user = register(f"demo-{uuid.uuid4()}@example.com", pause="1s", patience="30s")
    return {"user_id": user.pk}


def _check_mails(subject: Subject, output: Any) -> str | None:
    sent = set(EmailLog.objects.filter(user_id=subject["user_id"]).values_list("kind", flat=True))
    if sent != {EmailLog.Kind.WELCOME, EmailLog.Kind.TIPS}:
        return f"the mails sent are {sorted(sent)}, not welcome and tips"
    return None


def _check_import(subject: Subject, output: Any) -> str | None:
    imported = Import.objects.get(pk=subject["import_id"])
    totals = dict(RegionTotal.objects.filter(source=imported).values_list("region", "amount"))
    expected = expected_totals(imported.source)
    if totals != expected:
        return f"the totals are {totals}, but the file says {expected}"
    return None


def expected_totals(source: str) -> dict[str, Decimal]:
    """Return the amount of each region, read from the file without the code of the import.

    Args:
        source: name of a file in the folder IMPORTS_DIR.
    """
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    with (Path(settings.IMPORTS_DIR) / source).open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            totals[row["region"]] += Decimal(row["amount"])
    return dict(totals)


RUNS = [
    DemoRun(
        title="A small order: stock, cooling-off, payment, parcel",
        workflow="fulfil-order",
        start=lambda: _order(SMALL, 2),
        answers={"shop/payment.completed": lambda subject: record_payment(subject["order_id"])},
        check=_check_order,
    ),
    DemoRun(
        title="A big order, which somebody has to approve",
        workflow="fulfil-order",
        start=lambda: _order(BIG, 3),
        answers={
            "shop/order.approved": lambda subject: approve_order(subject["order_id"], "demo"),
            "shop/payment.completed": lambda subject: record_payment(subject["order_id"]),
        },
        check=_check_order,
    ),
    DemoRun(
        title="A new user, who activates the account",
        workflow="onboard-user",
        start=_register,
        answers={"user/activated": lambda subject: activate(subject["user_id"])},
        check=_check_mails,
    ),
    DemoRun(
        title="A CSV file of 5,200 sales in parallel chunks",
        workflow="csv-import-summary",
        start=lambda: {"import_id": request_import().pk},
        check=_check_import,
    ),
]
