"""What earlier releases left in their tables is brought to the same end by this one (F51, P10)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from durable_django.clock import reset
from durable_django.engine.invariants import find_violations
from durable_django.models import Run
from tests.databases import forget_figures
from tests.golden import rows, scenario
from tests.golden.make import FOLDER
from tests.plugins.store import Store
from tests.quiet import QUIET

RELEASES = sorted(FOLDER.glob("*.jsonl"))


def test_there_is_a_golden_history() -> None:
    """At least one release is kept, and it has runs in every state that outlives a process."""
    for path in RELEASES:
        states = Counter(
            json.loads(line)["fields"]["status"]
            for line in path.read_text().splitlines()
            if '"model": "durable_django.run"' in line
        )
        assert states.keys() >= {"queued", "running", "waiting", "paused", "completed", "failed", "cancelled"}
    assert RELEASES


@pytest.mark.parametrize("path", RELEASES, ids=lambda path: path.stem)
def test_what_a_release_left_is_finished(store: Store, configure: Any, path: Path) -> None:
    """Every run of the golden history ends with the state and the output that its own release gave it."""
    configure(DISPATCHER=QUIET)
    *kept, last = map(json.loads, path.read_text().splitlines())
    for kind in scenario.KINDS:
        scenario.declare(kind)
    rows.load(store.alias, kept)
    try:
        scenario.finish()
        assert scenario.tell() == last["ended"]
        assert not Run.objects.live().exclude(origin="cron").exists()
        forget_figures(store.alias)
        assert find_violations(store.alias, live=False) == []
    finally:
        reset()
