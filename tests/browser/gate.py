"""The gates of every operator's task: no error, no violation, accessible, few queries, nothing wider than the page.

``browser.check(page)`` judges the page as it is; what a page or a response does wrong in between is collected by
``browser`` itself and fails the test at its end.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe

from durable_django.models import AuditEntry, BulkOperation, Event, Run, SavedView, Wait, WorkflowState

FLOOR = 4
"""Queries of a page of the admin itself: session, user, and the permissions of the user and of the groups."""
BUDGET = 9
"""Queries above the floor that a page of ours may ask, unless the test says another number."""
HEALTH_BUDGET = 16
"""The same of the health page, which asks each check of its own."""
DJANGOS = re.compile(r"/(history|login)/")
"""Pages of the admin itself, on which a task may end."""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
REGION = ".dd"
REGION_MS = 5_000.0
"""Milliseconds that a page which is loaded gets for it; one that refuses its visitor has none."""
PICTURES = os.environ.get("DURABLE_TEST_PICTURES", "")
"""A folder that the pages are drawn into; "docs" draws those of the documents where they belong."""
DOCUMENTS = Path(__file__).parents[2] / "docs" / "images"
DOCUMENTED = {
    *(
        "overview",
        "runs-dark-wide",
        "run",
        "run-long",
        "run-rerun-from",
        "wait",
        "event",
        "event-send",
        "workers",
        "bulk",
    ),
}
TALLEST = 900
"""Pixels of a picture of the documents; what is below shows nothing new."""


def settle(page: Any) -> None:
    """Wait for the page that a click leads to: Playwright returns as soon as its answer begins."""
    page.wait_for_load_state("load")
    with suppress(Exception):  # a page without a region of ours is noted by check_axe
        page.locator(REGION).first.wait_for(state="attached", timeout=REGION_MS)


def take_stock() -> list[Any]:
    """Return what operators can change, to be compared."""
    runs = Run.objects.order_by("pk").values_list("pk", "status", "key", "token")
    waits = Wait.objects.order_by("pk").values_list("pk", "status", "expires_at")
    paused = WorkflowState.objects.order_by("pk").values_list("pk", "paused_at")
    bulk = BulkOperation.objects.order_by("pk").values_list("pk", "state", "done")
    log = AuditEntry.objects.order_by("pk").values_list("pk", "action", "result")
    return [*map(list, (runs, waits, paused, bulk, log)), Event.objects.count(), SavedView.objects.count()]


def find_budget(url: str) -> int:
    """Return the queries above the floor that a page may ask if the test says no number."""
    return HEALTH_BUDGET if "/worker/health/" in url else BUDGET


def check_axe(page: Any, faults: list[str]) -> None:
    """Note what axe finds against WCAG 2.2 AA in our region; the rest of the page is Django's."""
    if page.locator(REGION).count() == 0:
        faults.append(f"{page.url}: there is no region of ours ({REGION})")
        return
    options = {"runOnly": RULES, "resultTypes": ["violations"]}
    found = Axe().run(page, context=REGION, options=options).response["violations"]
    for rule in found:
        places = [f"{node['html'][:160]} {node.get('failureSummary', '')}" for node in rule["nodes"][:3]]
        faults.append(f"{page.url}: axe {rule['id']}: {rule['help']}: {places}")


def check_width(page: Any, faults: list[str]) -> None:
    """Note a page that is wider than its window."""
    wide, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    if wide > room:
        faults.append(f"{page.url}: {wide} pixels wide in a window of {room}")


def draw(page: Any, name: str) -> None:
    """Draw the page, if pictures are asked for."""
    if not PICTURES or (PICTURES == "docs" and name not in DOCUMENTED):
        return
    folder = DOCUMENTS if PICTURES == "docs" else Path(PICTURES)
    folder.mkdir(parents=True, exist_ok=True)
    test = re.sub(r"\W+", "-", os.environ.get("PYTEST_CURRENT_TEST", "").split("::")[-1].split(" ")[0])
    file = f"{name}.png" if name else f"{test}-{len(list(folder.glob(f'{test}-*')))}.png"
    cut = {}
    if PICTURES == "docs":
        tall = page.evaluate("document.documentElement.scrollHeight")
        cut = {"clip": {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": min(tall, TALLEST)}}
    page.screenshot(path=folder / file, full_page=True, **cut)
