"""The store may fail at any statement: the engine recovers by itself, with the right results (F23 to F27).

Each kind of statement fails once after it took effect while its connection is lost, and once in another way: not
executed, session ended by an operator, deadlock, serialization failure, on SQLite a lock that is not had in time.
Then some fail at random. ``python -m tests.crash --faults 20 --every`` lets each fail in every way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.test_crash_points import play
from tests.plugins.processes import Project
from tests.plugins.store import Store

SEEDS = "3"


@pytest.mark.process
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", [1, 2, 3])
def test_every_kind_of_statement_fails_once(
    store: Store, project: Callable[..., Project], tmp_path: Path, part: int
) -> None:
    """Whatever statement fails, and whether it took effect or not, every scene ends as it does without a fault."""
    options = ["--kinds", "def", "--part", f"{part}/3", "--faults", SEEDS, "--share", "0.03"]
    found = play(project, store, tmp_path, *options)
    assert found["wrong"] == []
    assert found["faults"] > (60 if store.vendor == "postgresql" else 5)


@pytest.mark.process
@pytest.mark.timeout(600)
def test_every_kind_of_statement_of_async_runs_fails_once(
    store: Store, project: Callable[..., Project], tmp_path: Path
) -> None:
    """The same for ``async def`` workflows."""
    options = ["--kinds", "async", "--scenes", "steps,parallel,event", "--faults", SEEDS, "--share", "0.03"]
    found = play(project, store, tmp_path, *options)
    assert found["wrong"] == []
    assert found["faults"] > (60 if store.vendor == "postgresql" else 3)
