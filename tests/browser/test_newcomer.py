"""Task 25: a newcomer, an empty project, the tutorial and nothing else.

The tutorial's blocks of code are carried out as they stand: files are written, commands are run, and what it says
about the admin is done in a browser. Only ``pip`` is left out: the package that is tested is installed.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.services import MISSING
from tests.processes import ROOT, Process

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]
TEXT = (ROOT / "docs" / "tutorial.md").read_text()
ACCOUNT = {
    "DJANGO_SUPERUSER_USERNAME": "newcomer",
    "DJANGO_SUPERUSER_PASSWORD": "a-long-one-7",
    "DJANGO_SUPERUSER_EMAIL": "newcomer@example.com",
}
SECONDS = 120_000.0
"""Milliseconds that the browser waits for what the page says next; the machine may be busy."""


@dataclass(frozen=True)
class Block:
    """A block of code of the tutorial."""

    kind: str
    code: str

    @property
    def file(self) -> str:
        """The file that its first line names; empty for commands and for mere examples."""
        found = re.match(r"# (mysite/\S+\.py)", self.code)
        return found[1] if found else ""

    @property
    def commands(self) -> list[str]:
        """The lines of a block of commands, but for pip's."""
        return [line for line in self.code.splitlines() if self.kind == "sh" and not line.startswith("pip ")]


BLOCKS = [Block(*found) for found in re.findall(r"```(sh|python)\n(.*?)```", TEXT, re.DOTALL)]


@dataclass
class Newcomer:
    """Follows the tutorial in a folder of their own."""

    folder: Path
    env: dict[str, str]
    started: list[Process]
    further: dict[str, str] = field(default_factory=dict)
    """Files beside those of the tutorial, written when the project is there."""

    def write(self, block: Block) -> None:
        path = self.folder / block.file
        if "at the end" in block.code.splitlines()[0]:
            path.write_text(path.read_text() + block.code)
        else:
            path.write_text(block.code)

    def run(self, command: str) -> str:
        words = shlex.split(command)
        more = ["--noinput"] if words[-1] == "createsuperuser" else []
        start = {"python": [], "django-admin": ["-m", "django"]}[words[0]]
        done = subprocess.run(
            [sys.executable, *start, *words[1:], *more],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def start_dev(self) -> str:
        """Start what the tutorial starts, at a free port, and return the address that it prints."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        place = str(self.folder / "manage.py")
        process = Process("dev", (place, "durable", "dev", str(port)), self.env, self.folder / "dev.log")
        self.started.append(process)
        process.wait_for("Ctrl-C ends them", timeout=120)
        found = re.search(r"http://\S+?(?=[;,\s])", process.text)
        assert found is not None
        return found[0]


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST_", "TEST_", "DJANGO_", "DURABLE_"))
    }
    env = {**kept, **ACCOUNT, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    made = Newcomer(tmp_path, env, [])
    yield made
    for process in made.started:
        process.kill()
        print(process.text[-4_000:])


@pytest.fixture
def page(chromium: Any) -> Any:
    found = chromium.new_page()
    found.set_default_timeout(SECONDS)
    # A skin may want letters from elsewhere, and a page is not there before that has failed.
    found.route(lambda url: not url.startswith("http://127.0.0.1:"), lambda route: route.abort())
    return found


def test_the_first_part_is_as_short_as_it_claims() -> None:
    """Four commands, one new file, one line in the settings; the name is the package's."""
    first = TEXT.partition("## Your first run")[2].partition("## A run that waits")[0]
    blocks = [Block(*found) for found in re.findall(r"```(sh|python)\n(.*?)```", first, re.DOTALL)]
    commands = [line for block in blocks if block.kind == "sh" for line in block.code.splitlines()]
    assert len(commands) <= 4
    settings, code = (block for block in blocks if block.file)
    assert len(settings.code.splitlines()) == 2  # the line, and the comment that names the file
    assert len([line for line in code.code.splitlines()[1:] if line]) <= 12
    name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
    assert f"pip install {name}" in commands


def follow_first_part(newcomer: Newcomer, parts: Iterator[Block], skin: str = "") -> str:
    """Do all up to the start of the server, and return its address."""
    while True:
        block = next(parts)
        if block.file:
            newcomer.write(block)
        for command in block.commands:
            if command.endswith("durable dev"):
                return newcomer.start_dev()
            newcomer.run(command)
            if skin and "startproject" in command:
                put_on(newcomer, skin)


def put_on(newcomer: Newcomer, skin: str) -> None:
    """Give the admin a skin, as its own documentation says."""
    settings, urls = (newcomer.folder / "mysite" / name for name in ("settings.py", "urls.py"))
    for name, text in newcomer.further.items():
        (newcomer.folder / name).write_text(text)
    admin = "'django.contrib.admin',"
    settings.write_text(settings.read_text().replace(admin, f"'{skin}',\n    {admin}"))
    assert skin in settings.read_text()
    if skin == "grappelli":
        more = "\nfrom django.urls import include\n"
        more += "urlpatterns.insert(0, path('grappelli/', include('grappelli.urls')))\n"
        urls.write_text(urls.read_text() + more)


@pytest.mark.parametrize("skin", ["", "unfold"], ids=["stock", "unfold"])
def test_a_newcomer_comes_from_an_empty_project_to_a_finished_run(
    newcomer: Newcomer, page: Any, skin: str
) -> None:
    """With the tutorial alone: the run is completed in the admin, the second one waits and ends."""
    if skin:
        pytest.importorskip(skin, reason=f"{MISSING}{skin} (extra browser)")
    parts = iter(BLOCKS)
    url = follow_first_part(newcomer, parts, skin)
    invoke(page, url)
    page.locator(".dd-state", has_text="completed").first.wait_for()
    visit(page, page.url.partition("?")[0] + "?tab=payloads")
    assert '"total": 120.0' in page.content()

    example = next(parts)
    assert not example.file
    newcomer.write(next(parts))
    newcomer.started[0].wait_for("restarting", timeout=120)
    watch(newcomer, page, url, next(parts), "waiting")
    watch(newcomer, page, url, next(parts), "completed")

    newcomer.write(next(parts))
    (command,) = next(parts).commands
    assert "OK" in newcomer.run(command)
    assert not list(parts)


def visit(page: Any, url: str) -> Any:
    """Go to an address of the server of `durable dev`, which may be starting, or starting anew."""
    for _ in range(100):
        try:
            return page.goto(url)
        except Exception as error:
            if "ERR_CONNECTION_REFUSED" not in str(error):
                raise
            page.wait_for_timeout(500)
    raise AssertionError(f"nobody answers at {url}")


def invoke(page: Any, url: str) -> None:
    """Do what the tutorial says about the admin."""
    visit(page, f"{url}/admin/")
    page.fill("[name=username]", ACCOUNT["DJANGO_SUPERUSER_USERNAME"])
    page.fill("[name=password]", ACCOUNT["DJANGO_SUPERUSER_PASSWORD"])
    page.locator("[type=submit]").click()
    visit(page, page.locator("a[href$='/durable_django/workflowstate/']").first.evaluate("each => each.href"))
    page.locator(".dd").get_by_role("link", name="place-order").first.click()
    page.get_by_role("link", name="Invoke…").click()
    page.get_by_role("button", name="Start the run").click()


def watch(newcomer: Newcomer, page: Any, url: str, block: Block, state: str) -> None:
    """Send what the block sends, and wait until the newest run is in the state."""
    (command,) = block.commands
    newcomer.run(command)
    visit(page, f"{url}/admin/durable_django/run/?status={state}&created=1h")
    wanted = {"waiting": 1, "completed": 2}[state]
    rows = page.locator("#result_list tbody tr")
    _wait_for(lambda: rows.count() == wanted, page)


def _wait_for(condition: Callable[[], bool], page: Any) -> None:
    for _ in range(240):
        if condition():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError(page.content()[:4_000])
