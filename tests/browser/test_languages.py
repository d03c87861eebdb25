"""The console in another language, from right to left, narrow, dark, enlarged, and by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from durable_django import workflow
from durable_django.models import AuditEntry, Run, Wait
from tests.acceptance.test_console_list import make_live, make_run

pytestmark = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
MakeUser = Callable[..., User]
PHONE = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
ENLARGED = {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2}


@pytest.fixture
def shop() -> Any:
    @workflow(id="ship-order")
    def ship(ctx: Any) -> None: ...

    return ship


def press_until(page: Any, text: str, presses: int = 150) -> None:
    """Move the focus by the Tab key to what has the text, and press Enter."""
    for _ in range(presses):
        page.keyboard.press("Tab")
        here = page.evaluate(
            "(document.activeElement.textContent || document.activeElement.value || '').trim()"
        )
        if here == text:
            ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert ring != "none"
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"no focus on {text!r}")


def test_a_failed_run_is_found_in_german(settings: Any, browser: Any, make_user: MakeUser, shop: Any) -> None:
    """On a phone in the dark, by keyboard: from the overview to the runs, with correct plural forms."""
    settings.LANGUAGE_CODE = "de"
    failed = [make_run(workflow="ship-order", status="failed") for _ in range(2)]
    make_run(workflow="other", status="failed")
    page = browser.open(reverse("admin:durable_django_overview"), user=make_user(), **PHONE)
    told = page.locator(".dd").inner_text()
    assert "2 Läufe von „ship-order“ sind fehlgeschlagen" in told
    assert "1 Lauf von „other“ ist fehlgeschlagen" in told
    browser.check(page, "overview-german")
    press_until(page, "2 Läufe von „ship-order“ sind fehlgeschlagen")
    page.wait_for_url("**workflow=ship-order*")
    assert page.locator("#result_list tbody tr").count() == len(failed)
    assert "2 gezeigt" in page.locator(".dd-foot").inner_text()
    browser.check(page, "runs-german")


def test_a_run_is_cancelled_in_german(settings: Any, browser: Any, make_user: MakeUser, shop: Any) -> None:
    """On a phone in the dark, by keyboard: the question, its consequences and the answer are German."""
    settings.LANGUAGE_CODE = "de"
    run = make_live(workflow="ship-order")
    for number in range(2):
        later = timezone.now() + timedelta(hours=1)
        Wait.objects.create(run=run, name="w", branch=number, event_name="a/b", expires_at=later)
    page = browser.open(reverse("admin:durable_django_run_change", args=[run.pk]), user=make_user(), **PHONE)
    browser.check(page, "run-german")
    press_until(page, "Abbrechen…")
    page.wait_for_url("**/cancel/**")
    assert "2 offene Wartepunkte werden geschlossen." in page.locator(".dd").inner_text()
    browser.check(page, "cancel-german")
    press_until(page, "Lauf abbrechen")
    page.get_by_text("Der Lauf wurde abgebrochen.").wait_for()
    assert Run.objects.get(pk=run.pk).status == "cancelled"
    assert AuditEntry.objects.get().action == "cancel"


def list_pages(run: Run) -> list[str]:
    pages = [
        reverse(f"admin:durable_django_{name}")
        for name in (
            "overview",
            "run_changelist",
            "workflowstate_changelist",
            "worker_changelist",
            "auditentry_changelist",
            "wait_changelist",
            "event_changelist",
            "health",
        )
    ]
    return [
        *pages,
        reverse("admin:durable_django_run_change", args=[run.pk]),
        reverse("admin:durable_django_run_cancel", args=[run.pk]),
        reverse("admin:durable_django_workflowstate_change", args=["ship-order"]),
    ]


@pytest.mark.parametrize(
    ("language", "options"),
    [("ar", PHONE), ("de", ENLARGED), ("ar", {})],
    ids=["right-to-left-narrow", "german-enlarged", "right-to-left"],
)
def test_each_page_fits(
    settings: Any, browser: Any, make_user: MakeUser, shop: Any, language: str, options: dict[str, Any]
) -> None:
    """From right to left, and at 200 %, no page is wider than its window, and axe finds nothing."""
    settings.LANGUAGE_CODE = language
    run, user = make_live(workflow="ship-order"), make_user()
    make_run(workflow="ship-order", status="failed")
    page = browser.open(list_pages(run)[0], user=user, **options)
    assert page.evaluate("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")
    for path in list_pages(run):
        page.goto(browser.server + path)
        browser.check(page, budget=45)
