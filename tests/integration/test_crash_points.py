"""A process may be killed at any moment: whatever it leaves behind, another one brings to the same end.

Each part plays its scenes once for each crash point (``tests/crash``). ``python -m tests.crash --every`` plays the
points inside of transactions and between reads too; ``--broker`` plays with messages in a real broker.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.crash.tools import find_scenes
from tests.databases import forget_figures
from tests.plugins.processes import Project
from tests.plugins.store import Store

SETTINGS: dict[str, Any] = {
    "DISPATCHER": "tests.crash.post.Post",
    "FETCH_ALLOW": ["http", "127.0.0.1"],
    "PARALLEL_THREADS": 2,
}
PARTS = 4
ASYNC = "steps,retries,parallel,elsewhere,fetch,ai,event,invoke"
"""Scenes in which an ``async def`` run makes other statements; the long command plays all."""


def play(make: Callable[..., Project], store: Store, folder: Path, *options: str) -> dict[str, Any]:
    """Play scenes in a process of its own, and return what it found."""
    forget_figures(store.alias)
    project = make(**SETTINGS)
    env = {"TEST_LOG_LEVEL": "CRITICAL"}
    if store.vendor == "sqlite":
        path = folder / "play.sqlite3"
        with closing(sqlite3.connect(store.connection.settings_dict["NAME"])) as old:
            # It is copied for each play: without the pages that large tests before this one have left empty.
            old.execute("VACUUM INTO ?", [str(path)])
        env["DATABASE_URL"] = f"sqlite:///{path}"
    answer = folder / "answer.json"
    process = project.start("crash", "-m", "tests.crash", "--json", str(answer), *options, env=env)
    process.wait(540)
    assert answer.exists(), process.text
    return json.loads(answer.read_text())


def test_every_tool_has_a_scene() -> None:
    """No step tool, and no option that changes what is written, is without a scene in which it is killed."""
    assert [tool for tool, scenes in find_scenes().items() if not scenes] == []


@pytest.mark.process
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_every_crash_point(store: Store, project: Callable[..., Project], tmp_path: Path, part: int) -> None:
    """Killed at each point in turn, every scene ends as it does without a crash: each effect once, all data whole."""
    found = play(project, store, tmp_path, "--kinds", "def", "--part", f"{part}/{PARTS}")
    assert found["wrong"] == []
    assert min(found["points"].values()) >= 7
    assert found["deaths"] == sum(found["points"].values()) > 80


@pytest.mark.process
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_every_crash_point_of_async_runs(
    store: Store, project: Callable[..., Project], tmp_path: Path, part: int
) -> None:
    """The same for ``async def`` workflows, on the store where another thread commits for them."""
    found = play(project, store, tmp_path, "--kinds", "async", "--scenes", ASYNC, "--part", f"{part}/2")
    assert found["wrong"] == []
    assert found["deaths"] > 50
