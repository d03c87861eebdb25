"""Operators' tasks on runs of many steps and on sleeps, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from durable_django import workflow
from durable_django.models import AuditEntry, Step
from durable_django.testing import drain, reset_clock
from tests.acceptance.test_console_list import make_live
from tests.acceptance.test_console_steps import fill

pytestmark = [pytest.mark.timeout(400), pytest.mark.parametrize("store", ["sqlite"], indirect=True)]
both = pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
MakeUser = Callable[..., User]


@both
def test_find_a_failed_step_in_the_strip(browser: Any, make_user: MakeUser, store: Any, script: bool) -> None:
    """The table of the strip names the part with the failure; its link opens the page that has the step."""
    run = make_live("running", owner="w:1")
    steps = fill(run, 1_000)
    Step.objects.filter(pk=steps[610].pk).update(status="failed")
    address = reverse("admin:durable_django_run_change", args=[run.pk])
    page = browser.open(address, user=make_user(), script=script)
    page.get_by_text("View as table").click()
    bad = page.locator(".dd-strip tbody tr", has_text="1 failed")
    assert bad.count() == 1
    bad.get_by_role("link", name="601–650").click()
    page.wait_for_url("**after=*")
    assert page.locator(".dd-timeline tbody tr", has_text="failed").count() == 1
    browser.check(page)
    page.get_by_role("link", name="charge-card ×1000").click()
    page.wait_for_url("**name=charge-card")
    page.get_by_role("link", name="Failed only").click()
    page.wait_for_url("**only=failed**")
    assert page.locator(".dd-timeline tbody tr").count() == 1
    browser.check(page)


def test_arrows_move_by_row(browser: Any, make_user: MakeUser, store: Any) -> None:
    """From the link of a step to those of its neighbours; elsewhere, and with the keys off, they scroll as ever."""
    run = make_live("running", owner="w:1")
    fill(run, 3)
    address = reverse("admin:durable_django_run_change", args=[run.pk])
    page = browser.open(address, user=make_user())
    focused = "document.activeElement.textContent"
    page.keyboard.press("ArrowDown")
    assert page.locator(".dd-timeline a:focus").count() == 0
    page.locator(".dd-timeline tbody a").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "charge-card (3)"
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == "charge-card (2)"
    page.evaluate("localStorage.setItem('dd-keys', 'off')")
    page.reload()
    page.locator(".dd-timeline tbody a").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "charge-card"
    page.evaluate("localStorage.removeItem('dd-keys')")


@both
def test_wake_what_sleeps_from_the_list(browser: Any, make_user: MakeUser, store: Any, script: bool) -> None:
    """From the waits to the sleeps, one question, and back to the list, where the run sleeps no more."""

    @workflow(id="napping")
    def napping(ctx: Any) -> str:
        ctx.step.sleep("nap", "3 days")
        return "awake"

    run = napping.start()
    drain()
    page = browser.open(reverse("admin:durable_django_wait_changelist"), user=make_user(), script=script)
    page.locator("#dd-filters").get_by_role("link", name="sleep", exact=True).click()
    page.wait_for_url("**kind=sleep")
    browser.check(page, budget=4)
    page.get_by_role("link", name="Wake now…").click()
    page.get_by_label("Reason").fill("the shop is open")
    page.get_by_role("button", name="Wake now").click()
    page.wait_for_url("**kind=sleep")
    assert "The run goes on now." in page.locator(".messagelist").inner_text()
    drain()
    page.reload()
    assert "Nothing sleeps." in page.locator(".dd-empty").inner_text()
    assert AuditEntry.objects.get(run_id=run.id, action="wake").reason == "the shop is open"
    reset_clock()
