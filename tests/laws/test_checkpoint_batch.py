"""Checkpoints that are committed together are stored as if each had been written alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_django import workflow
from durable_django.models import Step
from durable_django.store.base import StepWrite
from durable_django.store.checkpoint import write_steps
from durable_django.store.claim import claim_runs
from tests.plugins.store import Store
from tests.quiet import QUIET

MOMENT = datetime(2031, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
TEXTS = st.text(st.characters(blacklist_characters="\x00", blacklist_categories=["Cs"]), max_size=40)
KNOWN = ("name", "index", "kind", "status", "output", "error", "attempt", "token")


@st.composite
def steps(draw: Any) -> dict[str, Any]:
    status = draw(st.sampled_from(["completed", "failed", "waiting", "retrying"]))
    return {
        "name": draw(TEXTS.filter(bool)),
        "index": draw(st.integers(0, 2**62)),
        "kind": draw(st.sampled_from(["run", "sleep"])),
        "status": status,
        "output": draw(st.none() | TEXTS) if status == "completed" else None,
        "error": draw(TEXTS) if status == "failed" else None,
        "attempt": draw(st.integers(0, 30_000)),
        "seconds": draw(st.floats(0, 1e4)),
        "ready_in": draw(st.none() | st.floats(0, 1e4)),
        "ready_at": draw(st.sampled_from([None, MOMENT])),
        "owned": draw(st.booleans()),
    }


def claim_two() -> list[UUID]:
    @workflow(id="owned")
    def owned(ctx: Any) -> None:
        return None

    for _ in range(2):
        owned.start()
    claimed = claim_runs(Step.objects.db, owner="me", lease=600, queue="durable", limit=2)
    return [each.id for each in claimed]


def read(run_id: UUID) -> list[Any]:
    rows = Step.objects.filter(run_id=run_id).order_by("name", "index")
    return [
        (
            *(getattr(row, field) for field in KNOWN),
            row.ended_at is None,
            row.ready_at is None,
            row.ready_at == MOMENT,
            row.started_at is None,
        )
        for row in rows
    ]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=st.lists(steps(), min_size=2, max_size=6, unique_by=lambda row: (row["name"], row["index"])))
def test_a_batch_is_its_rows(store: Store, registry: Any, configure: Any, rows: list[dict[str, Any]]) -> None:
    """Whatever texts, times and states they have, and whether or not their lease is lost."""
    configure(DISPATCHER=QUIET)
    registry.restore({})
    together, apart = claim_two()
    items = [
        StepWrite(
            run_id=together, token=1 if row["owned"] else 7, **{k: v for k, v in row.items() if k != "owned"}
        )
        for row in rows
    ]
    told = write_steps(store.alias, items)
    alone = [write_steps(store.alias, [replace(item, run_id=apart)])[0] for item in items]
    assert told == alone == [row["owned"] for row in rows]
    assert read(together) == read(apart)
    assert write_steps(store.alias, items) == [row["owned"] and row["status"] == "retrying" for row in rows]
