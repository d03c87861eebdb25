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
from durable_django.testing import drain
from tests.acceptance.test_console_list import make_live, make_run
from tests.acceptance.test_console_steps import fill
from tests.browser.test_operations import asking, clock

__all__ = ["asking", "clock"]  # the fixtures

pytestmark = [pytest.mark.timeout(400), pytest.mark.parametrize("store", ["sqlite"], indirect=True)]
MakeUser = Callable[..., User]
both = pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
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


@both
def test_a_failed_run_is_found_in_german(
    settings: Any, browser: Any, make_user: MakeUser, shop: Any, script: bool
) -> None:
    """On a phone in the dark, by keyboard: from the overview to the runs, with correct plural forms."""
    settings.LANGUAGE_CODE = "de"
    failed = [make_run(workflow="ship-order", status="failed") for _ in range(2)]
    make_run(workflow="other", status="failed")
    page = browser.open(reverse("admin:durable_django_overview"), user=make_user(), script=script, **PHONE)
    told = page.locator(".dd").inner_text()
    assert "2 Läufe von „ship-order“ sind fehlgeschlagen" in told
    assert "1 Lauf von „other“ ist fehlgeschlagen" in told
    browser.check(page, "overview-german")
    press_until(page, "2 Läufe von „ship-order“ sind fehlgeschlagen")
    page.wait_for_url("**workflow=ship-order*")
    assert page.locator("#result_list tbody tr").count() == len(failed)
    assert "2 gezeigt" in page.locator(".dd-foot").inner_text()
    browser.check(page, "runs-german")


@both
def test_a_run_is_cancelled_in_german(
    settings: Any, browser: Any, make_user: MakeUser, shop: Any, script: bool
) -> None:
    """On a phone in the dark, by keyboard: the question, its consequences and the answer are German."""
    settings.LANGUAGE_CODE = "de"
    run = make_live(workflow="ship-order")
    for number in range(2):
        later = timezone.now() + timedelta(hours=1)
        Wait.objects.create(run=run, name="w", branch=number, event_name="a/b", expires_at=later)
    path = reverse("admin:durable_django_run_change", args=[run.pk])
    page = browser.open(path, user=make_user(), script=script, **PHONE)
    browser.check(page, "run-german")
    press_until(page, "Abbrechen…")
    page.wait_for_url("**/cancel/**")
    assert "2 offene Wartepunkte werden geschlossen." in page.locator(".dd").inner_text()
    browser.check(page, "cancel-german")
    press_until(page, "Lauf abbrechen")
    page.get_by_text("Der Lauf wurde abgebrochen.").wait_for()
    assert Run.objects.get(pk=run.pk).status == "cancelled"
    assert AuditEntry.objects.get().action == "cancel"


@both
def test_an_overdue_wait_is_resolved_in_german(
    settings: Any, browser: Any, make_user: MakeUser, asking: Any, script: bool
) -> None:
    """On a phone in the dark, by keyboard: the run goes on with exactly the value that was typed."""
    settings.LANGUAGE_CODE = "de"
    run = asking.start({"id": 7})
    drain()
    Wait.objects.update(expires_at="2020-01-01T00:00Z")
    path = reverse("admin:durable_django_wait_change", args=[Wait.objects.get().pk])
    page = browser.open(path, user=make_user(), script=script, **PHONE)
    assert "überfällig" in page.locator(".dd").first.inner_text()
    press_until(page, "Mit einem Wert beantworten…")
    page.wait_for_url("**/resolve/**")
    browser.check(page, "resolve-german")
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "value":
            break
    page.keyboard.press("Control+A")
    page.keyboard.type('{"approved": true}')
    press_until(page, "Mit diesem Wert beantworten")
    page.locator(".messagelist").wait_for()
    drain()
    assert run.result(0) == {"approved": True}
    assert AuditEntry.objects.get().action == "resolve"


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
        reverse("admin:durable_django_wait_changelist") + "?kind=sleep",
        reverse("admin:durable_django_run_change", args=[run.pk]),
        reverse("admin:durable_django_step_change", args=[run.steps.first().pk]),
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
    run, user = make_live(workflow="ship-order", waits_for="sleep"), make_user()
    fill(run, 300)
    make_run(workflow="ship-order", status="failed")
    page = browser.open(list_pages(run)[0], user=user, **options)
    assert page.evaluate("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")
    for path in list_pages(run):
        page.goto(browser.server + path)
        browser.check(page, budget=45)
