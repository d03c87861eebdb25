from __future__ import annotations

import os
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import OutputWrapper

from durable_django import send_event, workflow
from durable_django.management.console import Console
from durable_django.management.live.lines import Printer
from durable_django.management.live.sources import find_changed, take_snapshot
from durable_django.management.live.watcher import Watcher
from durable_django.testing import advance, reset_clock
from tests.commands import run_durable
from tests.plugins.store import Store


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    """Take back every ``advance`` of the test."""
    yield
    reset_clock()


class Screen:
    """What ``dev`` and ``demo`` would show of the store."""

    def __init__(self, store: Store) -> None:
        self._stream = StringIO()
        self.watcher = Watcher(store.alias)
        output = OutputWrapper(self._stream)
        self._printer = Printer(Console(output, output), self.watcher.since)

    def look(self) -> list[str]:
        """Return the new lines, without their time."""
        self._stream.seek(0)
        self._stream.truncate()
        self._printer.show(self.watcher.look(), self.watcher.now)
        return [line.partition("s  ")[2] for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def screen(store: Store) -> Screen:
    return Screen(store)


def test_each_change_is_told_once_in_order(screen: Screen) -> None:
    """A run is told from its start through its waits to its end, each change once."""

    @workflow(id="asking", trigger="asked")
    def asking(ctx: Any) -> Any:
        ctx.step.run("one", lambda: 1)
        return ctx.step.wait_for_event("answer", event="answered", match="data.n", timeout="1h").data

    send_event("asked", {"n": 7})
    begun, one, waits = screen.look()
    assert begun.endswith("run started by event 'asked'")
    assert one.endswith("step 'one' completed")
    assert "step 'answer' waits for event 'answered' with data.n = 7 until " in waits
    assert screen.look() == []
    send_event("answered", {"n": 7})
    got, ended = screen.look()
    assert got.endswith("step 'answer' got its event")
    assert "run completed after " in ended
    assert ended.endswith(': {"n": 7}')
    assert screen.look() == []


def test_failures_are_told_with_the_next_attempt(screen: Screen) -> None:
    """Failed attempts are told with error and next attempt, then the failure for good."""

    @workflow(id="failing", retries=1)
    def failing(ctx: Any) -> None:
        def fail() -> None:
            raise ValueError("no carrier")

        ctx.step.run("ship", fail)

    failing.start()
    lines = screen.look()
    assert "step 'ship' failed, attempt 1: ValueError: no carrier; again at " in lines[-1]
    advance("1h")
    text = "\n".join(screen.look())
    assert "attempt 2: ValueError: no carrier; no further attempt" in text
    assert "step 'ship' failed for good" in text
    assert "run failed after " in text


def test_sleep_and_cancel_are_told(screen: Screen) -> None:
    """A sleep is told with its end, and a cancelled run with the reason."""

    @workflow(id="sleeping")
    def sleeping(ctx: Any) -> None:
        ctx.step.sleep("nap", "1h")
        ctx.step.sleep("night", "8h")

    run = sleeping.start()
    assert "step 'nap' sleeps until " in screen.look()[-1]
    advance("61m")
    text = "\n".join(screen.look())
    assert "step 'nap' woke up" in text
    assert "step 'night' sleeps until " in text
    run_durable("cancel", run.id, "--reason", "bad dream")
    assert screen.look()[-1].endswith(": bad dream")


def test_many_runs_show_their_progress(screen: Screen) -> None:
    """Runs of one workflow that were started together are counted as they end."""

    @workflow(id="chunk", trigger="chunk/planned")
    def chunk(ctx: Any) -> int:
        return int(ctx.event.data["n"])

    for n in range(4):
        send_event("chunk/planned", {"n": n})
    ends = [line for line in screen.look() if "completed" in line]
    assert ends[0].endswith("[1 of 4 runs, 25 %]")
    assert ends[-1].endswith("[4 of 4 runs, 100 %]")


def test_runs_before_the_watch_are_followed_from_now(store: Store) -> None:
    """What an old run did before is not told; what it does now is."""

    @workflow(id="sleeping")
    def sleeping(ctx: Any) -> str:
        ctx.step.run("before", lambda: 1)
        ctx.step.sleep("nap", "1h")
        return str(ctx.step.run("after", lambda: "awake"))

    sleeping.start()
    time.sleep(0.005)  # SQLite keeps and rounds milliseconds
    screen = Screen(store)
    advance("59m 45s")
    lines = [line for _ in range(5) for line in screen.look()]
    assert lines == []
    advance("1m")
    text = "\n".join(screen.look())
    assert "step 'after' completed" in text
    assert "before" not in text


def test_saved_new_and_removed_files_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source file counts as changed when it is saved, added or removed; other files do not count."""
    monkeypatch.setattr("durable_django.management.live.sources._find_roots", lambda: [tmp_path])
    kept, removed = tmp_path / "kept.py", tmp_path / "removed.py"
    for path in (kept, removed):
        path.write_text("one = 1")
        os.utime(path, (1, 1))  # the clock of a file system may tick a few times a second only
    before = take_snapshot()
    kept.write_text("two = 2")
    removed.unlink()
    added = tmp_path / "sub" / "workflows.py"
    added.parent.mkdir()
    added.write_text("")
    (tmp_path / "notes.txt").touch()
    assert find_changed(before, take_snapshot()) == sorted([kept, removed, added])
    assert find_changed(before, before) == []
