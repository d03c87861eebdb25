from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from durable_django import workflow
from durable_django.models import Run, Worker
from tests.commands import run_durable
from tests.plugins.store import Store


def test_tick_wakes_what_is_due(store: Store) -> None:
    """A tick wakes a sleeper whose time has come, says so, and is noted for the doctor."""

    @workflow(id="sleeper")
    def sleeper(ctx: Any) -> str:
        ctx.step.sleep("nap", "1ms")
        return "awake"

    run = sleeper.start()
    Run.objects.filter(id=run.id, status="waiting").update(wake_at=timezone.now() - timedelta(seconds=1))
    said = run_durable("tick", "--json").data
    assert said["woken"] == 1
    assert sum(said.values()) == 1
    assert {"requeued", "taken_over", "routed"} < set(said)
    assert run.result(timeout=5) == "awake"
    assert Worker.objects.filter(name="tick").exists()


def test_tick_says_what_it_did(store: Store) -> None:
    """Without ``--json`` the tick prints one line, however little there was to do."""
    assert run_durable("tick").out.startswith("Swept: 0 woken")
    assert len(run_durable("tick").out.splitlines()) == 1
