"""A long file, and a sender that is killed in the middle of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from durable_django.models import Event
from tests.plugins.processes import Project
from tests.plugins.store import Store
from tests.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

LINES = 15_000


def test_a_killed_sender_goes_on_without_doubles(
    store: Store, project: Callable[..., Project], tmp_path: Path
) -> None:
    """After kill -9 the same file with ``--skip-sent`` adds what is missing: each event is stored and routed once."""
    source = tmp_path / "events.jsonl"
    with source.open("w") as file:
        for number in range(LINES):
            file.write(json.dumps({"name": "a/b", "data": {"n": number}, "id": f"id-{number}"}) + "\n")
    events = Event.objects.using(store.alias)
    first = project().start_manage("durable", "send", "--file", str(source))
    wait_until(lambda: events.count() >= 1_000 or first.returncode is not None, 120, "the first batch")
    first.kill()
    kept = events.count()
    assert 1_000 <= kept < LINES, first.text
    second = project().start_manage("durable", "send", "--file", str(source), "--skip-sent", "--json")
    assert second.wait(200) == 0, second.text
    said = json.loads(second.text[second.text.index("{\n") :])
    assert (said["events"], said["skipped"]) == (LINES - kept, kept)
    assert events.count() == events.values("external_id").distinct().count() == LINES
    assert events.filter(routed_at=None).count() <= kept  # the killed batch is left to the tick
