"""Every screen with the usual skins of the admin: it is there, fits, passes axe, and works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.test_newcomer import BLOCKS, Newcomer, follow_first_part, invoke, newcomer, page, visit
from tests.plugins.services import MISSING
from tests.processes import ROOT

gate = pytest.importorskip("tests.browser.gate", reason=f"{MISSING}axe (extra browser)")

__all__ = ["newcomer", "page"]  # the fixtures
pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]
SKINS = ["unfold", "jazzmin", "grappelli"]
OURS = "/admin/durable_django/"
DJANGOS = re.compile(r"/auditentry/\d+/change/|/delete/$")
"""Screens without a region of ours."""
SCREENS = 25
"""How many at least there are from a new project with one run."""


def find_links(page: Any) -> Iterator[str]:
    """Return the addresses of our screens that the page links to in our region, each kind once."""
    for link in page.locator(".dd a[href], #result_list a[href]").all():
        path = link.evaluate("each => each.pathname + each.search")
        if path.startswith(OURS) and "/export/" not in path and "older=" not in path:
            yield path


def name_kind(path: str) -> str:
    """Return the path without what tells rows apart, and without what filters do."""
    where, _, query = path.partition("?")
    tab = re.search(r"tab=\w+", query)
    kind = re.sub(r"/([0-9a-f-]{36}|\d+|place-order)/", "/*/", where)
    return f"{kind}?{tab[0]}" if tab else kind


def walk(page: Any, url: str) -> list[str]:
    """Look at every kind of screen that can be reached from the overview, and return what is wrong."""
    todo, seen, faults = [f"{OURS}run/overview/"], set(), []
    while todo:
        path = todo.pop(0)
        if name_kind(path) in seen:
            continue
        seen.add(name_kind(path))
        answer = visit(page, url + path)
        if answer.status >= 400:
            faults.append(f"{path}: {answer.status}")
            continue
        gate.check_width(page, faults)
        if not DJANGOS.search(path):
            gate.check_axe(page, faults)
        todo += find_links(page)
    assert len(seen) >= SCREENS, sorted(seen)
    return faults


def register_as_documented(newcomer: Newcomer) -> None:
    """Write the example of the handbook into the project, beside what the tutorial will write."""
    (code,) = re.findall(
        r"```python\n(# admin\.py.*?)```", (ROOT / "docs" / "console.md").read_text(), re.DOTALL
    )
    newcomer.further["mysite/admin.py"] = code


@pytest.mark.parametrize("skin", SKINS)
def test_every_screen_in_a_skin(newcomer: Newcomer, page: Any, skin: str) -> None:
    """From the tutorial's project with the skin: a run is invoked, each screen is looked at, a run is rerun."""
    pytest.importorskip(skin, reason=f"{MISSING}{skin} (extra browser)")
    broken: list[str] = []
    page.on(
        "pageerror", lambda error: broken.append(str(error)) if "durable_django" in str(error.stack) else None
    )
    if skin == "unfold":
        register_as_documented(newcomer)
    url = follow_first_part(newcomer, iter(BLOCKS), skin)
    invoke(page, url)
    page.locator(".dd-state", has_text="completed").first.wait_for()
    run = page.url.partition("?")[0]
    faults = walk(page, url)
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)
    visit(page, run)
    page.get_by_role("link", name="Rerun…").click()
    page.get_by_role("button", name="Start a new run").click()
    page.get_by_text("A new run was started:").first.wait_for()
    visit(page, f"{url}{OURS}run/?created=1h")
    assert "2 shown of 2" in page.locator(".dd-foot").inner_text()
    assert not broken
