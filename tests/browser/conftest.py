"""A real browser against a real server; without Chromium or Playwright these tests are skipped."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission, User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer
from django.test import Client
from django.test.testcases import QuietWSGIRequestHandler
from django.urls import reverse

from tests.counting import HEADER
from tests.plugins.services import MISSING
from tests.plugins.store import Store

CHROMIUM = os.environ.get("TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@pytest.fixture
def server(store: Store, settings: Any) -> Iterator[str]:
    """The address of a server with a strict content security policy."""
    ours = ["tests.counting.CountQueries", "tests.csp.StrictPolicy"]
    settings.MIDDLEWARE = [*ours, *django_settings.MIDDLEWARE]
    served = ThreadedWSGIServer(("127.0.0.1", 0), QuietWSGIRequestHandler)
    served.set_app(StaticFilesHandler(WSGIHandler()))
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    thread.join()
    served.server_close()


@dataclass
class Browser:
    """Opens pages as some user, and remembers what went wrong in them."""

    chromium: Any
    server: str
    faults: list[str] = field(default_factory=list)
    queries: dict[str, int] = field(default_factory=dict)
    contexts: list[Any] = field(default_factory=list)
    plain: list[Any] = field(default_factory=list)
    """Pages without scripts."""
    pages: list[Any] = field(default_factory=list)

    def open(self, path: str, *, user: User, script: bool = True, **options: Any) -> Any:
        """Return a page at the path, with the user logged in."""
        context = self.chromium.new_context(
            java_script_enabled=script,
            viewport=options.pop("viewport", {"width": 1280, "height": 900}),
            locale="en-GB",
            **options,
        )
        self.contexts.append(context)
        context.set_default_timeout(30_000)
        context.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        context.add_cookies([{"name": "sessionid", "value": log_in(user), "url": self.server}])
        page = context.new_page()
        self.pages.append(page)
        if not script:
            self.plain.append(page)
        page.on("console", lambda told: self.faults.append(told.text) if told.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("response", self._note)
        page.goto(self.server + path)
        return page

    def check(self, page: Any, name: str = "", *, budget: int | None = None) -> None:
        """Fail unless the page passes the gates, and nothing went wrong so far; see ``judge``."""
        found = [*self.judge(page, name, budget=budget), *self.faults]
        if found:
            pytest.fail("\n".join(found), pytrace=False)

    def judge(self, page: Any, name: str = "", *, budget: int | None = None) -> list[str]:
        """Return what is wrong with a page: axe in our region, its width, and its number of queries.

        Args:
            name: What its picture is called if pictures are asked for, see ``gate.draw``.
            budget: Queries above the floor of the admin; 9 if not given.
        """
        from tests.browser import gate

        gate.settle(page)
        gate.draw(page, name)
        found: list[str] = []
        if page in self.plain:
            page = self._open_twin(page)
            if gate.DJANGOS.search(page.url):  # the user is gone, so there is nothing to open twice
                return found
        gate.check_axe(page, found)
        gate.check_width(page, found)
        allowed = gate.FLOOR + (gate.find_budget(page.url) if budget is None else budget)
        asked = self.queries.get(page.url.split("#")[0], 0)
        if asked > allowed:
            found.append(f"{page.url}: {asked} queries, at most {allowed}")
        return found

    def leave(self) -> None:
        """Judge the pages where the task has left them, and go over each again: what is done is done once.

        A task that brought a page into a state of which the gates are not true says so by ``browser.pages.clear()``.
        """
        from tests.browser import gate

        ours = [page for page in self.pages if not gate.DJANGOS.search(page.url)]
        found = [fault for page in ours for fault in self.judge(page)]
        before = gate.take_stock()
        for page in self.pages:
            page.reload()
            page.go_back()
            page.go_forward()
            gate.settle(page)
        assert not found, "\n".join(found)
        assert gate.take_stock() == before, "a reload, or the way back and forth, changed something"

    def _open_twin(self, page: Any) -> Any:
        """Open the page's address with scripts, since axe is one; a page that a POST answered cannot be."""
        context = self.chromium.new_context(viewport=page.viewport_size, locale="en-GB")
        self.contexts.append(context)
        context.add_cookies(page.context.cookies())
        context.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        twin = context.new_page()
        twin.on("response", self._note)
        twin.goto(page.url)
        return twin

    def _note(self, response: Any) -> None:
        if response.status >= 500:
            self.faults.append(f"{response.status} {response.url}")
        asked = response.headers.get(HEADER.lower())
        if asked and response.request.method == "GET":
            self.queries[response.url] = int(asked)


@pytest.fixture(scope="session")
def launched() -> Iterator[Any]:
    """Chromium, one a process, and the event loop that Playwright runs in this thread."""
    if CHROMIUM is None:
        pytest.skip(f"{MISSING}chromium (install it, or set TEST_CHROMIUM)")
    playwright = pytest.importorskip("playwright.sync_api", reason=f"{MISSING}playwright (extra browser)")
    with playwright.sync_playwright() as runner:
        loop = asyncio.get_running_loop()
        chromium = runner.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        asyncio._set_running_loop(None)
        yield chromium, loop
        asyncio._set_running_loop(loop)
        chromium.close()


@pytest.fixture
def chromium(launched: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Chromium; the event loop counts as running while the test lasts, which itself uses the ORM, and no longer."""
    found, loop = launched
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    asyncio._set_running_loop(loop)
    yield found
    for context in found.contexts:
        context.close()
    asyncio._set_running_loop(None)


@pytest.fixture
def browser(server: str, chromium: Any) -> Iterator[Browser]:
    """Chromium; at the end there must have been no error in its console, no violation, and no 5xx."""
    pytest.importorskip("axe_playwright_python", reason=f"{MISSING}axe (extra browser)")
    found = Browser(chromium, server)
    yield found
    found.leave()
    for context in found.contexts:
        context.close()
    assert not found.faults


def log_in(user: User) -> str:
    """Return the session key of a login."""
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


@pytest.fixture
def make_user(store: Store) -> Callable[..., User]:
    """Make a staff user with permissions, or a superuser without any."""

    def make(*permissions: str) -> User:
        name = f"user{User.objects.count()}"
        user = User.objects.create_user(name, is_staff=True, is_superuser=not permissions)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        assert user.user_permissions.count() == len(permissions)
        return user

    return make


def page_of(run: Any) -> str:
    """Return the path of a run's page."""
    return reverse("admin:durable_django_run_change", args=[run.id])
