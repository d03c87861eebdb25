"""The store may fail at any statement: the engine recovers by itself, with the right results (F23 to F27).

Each kind of statement that changes something fails once after it took effect, since its connection is lost; reads,
and some of the others, fail in another way: not executed, session ended by an operator, deadlock, serialization
failure, on SQLite a lock that is not had in time. Then some fail at random.
``python -m tests.crash --faults 20 --every`` lets each fail in every way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.test_crash_points import play
from tests.plugins.processes import Project
from tests.plugins.store import Store

SEEDS = "2"


@pytest.mark.process
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", [1, 2, 3, 4])
def test_every_kind_of_statement_fails_once(
    store: Store, project: Callable[..., Project], tmp_path: Path, part: int
) -> None:
    """Whatever statement fails, and whether it took effect or not, every scene ends as it does without a fault."""
    options = ["--kinds", "def", "--part", f"{part}/4", "--faults", SEEDS, "--share", "0.03"]
    found = play(project, store, tmp_path, *options)
    assert found["wrong"] == []
    assert found["faults"] > (20 if store.vendor == "postgresql" else 5)


@pytest.mark.process
@pytest.mark.timeout(600)
def test_every_kind_of_statement_of_async_runs_fails_once(
    store: Store, project: Callable[..., Project], tmp_path: Path
) -> None:
    """The same for ``async def`` workflows."""
    options = ["--kinds", "async", "--scenes", "steps,event", "--faults", SEEDS, "--share", "0.03"]
    found = play(project, store, tmp_path, *options)
    assert found["wrong"] == []
    assert found["faults"] > (25 if store.vendor == "postgresql" else 2)
