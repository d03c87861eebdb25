"""What an operator is told after an action on ticked runs, and of a list that nobody moves, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from durable_django.models import Run
from tests.acceptance.test_console_list import make_live, make_run
from tests.quiet import QUIET

pytestmark = [pytest.mark.timeout(400), pytest.mark.parametrize("store", ["sqlite"], indirect=True)]
LIST = "admin:durable_django_run_changelist"
ROWS = "#result_list tbody tr"


@pytest.mark.parametrize(
    ("scheme", "width", "script"), [("light", 1280, True), ("dark", 360, True), ("light", 1280, False)]
)
def test_both_lists_are_a_click_away(
    browser: Any, make_user: Callable[..., User], configure: Any, scheme: str, width: int, script: bool
) -> None:
    """The message tells how many were cancelled and how many were left alone; each of its links shows these."""
    configure(DISPATCHER=QUIET)
    live = [make_live("queued", workflow="ship-order") for _ in range(2)]
    make_run(workflow="ship-order")
    size = {"width": width, "height": 800}
    page = browser.open(reverse(LIST), user=make_user(), script=script, color_scheme=scheme, viewport=size)
    assert "No worker is alive, so nothing here moves." in page.locator(".dd-head").inner_text()
    for box in page.locator(f"{ROWS} input[type=checkbox]").all():
        box.check()
    page.locator("select[name=action]").select_option("cancel_selected")
    page.locator("#changelist-form button[name=index]").first.click()
    page.get_by_role("button", name="Cancel these runs").click()
    told = page.locator(".messagelist")
    assert "Cancelled 2 runs. 1 run was left alone: completed." in told.inner_text()
    browser.check(page, f"ticked-{scheme}-{width}" if script else "")
    left = told.get_by_role("link", name="Show the 1 that was left alone").get_attribute("href")
    told.get_by_role("link", name="Show the 2 that were changed").click()
    page.wait_for_url(re.compile("bulk="))
    assert page.locator(ROWS).count() == 2
    assert all(page.locator(f"{ROWS} a[href*='{run.pk}']").count() == 1 for run in live)
    page.goto(browser.server + left)
    assert page.locator(ROWS).count() == 1
    assert Run.objects.filter(status="cancelled").count() == 2
