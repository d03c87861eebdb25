"""How a worker fills its slots: few claims, no run left behind, none that nobody could execute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from durable_django import send_events
from durable_django.dispatch.claimer import POLL_SECONDS, Claimer
from durable_django.dispatch.crew import Taken
from durable_django.models import Run, Step
from durable_django.store import load
from durable_django.store.claim import claim_runs
from durable_django.store.load import load_memos, load_memos_of
from tests.plugins.store import Store
from tests.quiet import QUIET


class Bench:
    """A crew that takes runs and keeps its slots until it is told to free them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.hungry = False
        self.taken: list[Taken] = []
        self.active = 0

    @property
    def free(self) -> int:
        return self.size - self.active

    @property
    def worth(self) -> int:
        return max(1, self.size // 4)

    def execute(self, runs: Sequence[Taken]) -> None:
        self.taken += runs
        self.active += len(runs)

    def close(self) -> None:
        return None


@pytest.fixture
def kinds(store: Store, configure: Any) -> None:
    """A workflow of each kind, and nobody who executes its runs."""
    from durable_django import workflow

    configure(DISPATCHER=QUIET)

    @workflow(id="plain", trigger="plain/go")
    def plain(ctx: Any) -> None:
        return None

    @workflow(id="loop", trigger="loop/go")
    async def loop(ctx: Any) -> None:
        return None


def send(**counts: int) -> None:
    for kind, count in counts.items():
        send_events([{"name": f"{kind}/go", "data": {}}] * count)


def build(store: Store, threads: int, tasks: int) -> tuple[Claimer, Bench, Bench]:
    crews = Bench(threads), Bench(tasks)
    return Claimer(
        store.alias, lambda: ["durable"], threads=crews[0], tasks=crews[1], is_draining=lambda: False
    ), *crews


def workflows(crew: Bench) -> list[str]:
    return [claimed.workflow for claimed, _ in crew.taken]


def test_each_kind_goes_to_its_own_crew(store: Store, kinds: None) -> None:
    """One claim takes both kinds, and each run is executed by the crew for it."""
    send(plain=3, loop=2)
    filler, threads, tasks = build(store, 8, 8)
    assert filler.fill() == POLL_SECONDS
    assert workflows(threads) == ["plain"] * 3
    assert workflows(tasks) == ["loop"] * 2


@pytest.mark.parametrize("busy", ["plain", "loop"])
def test_a_crew_without_room_does_not_keep_the_other_waiting(store: Store, kinds: None, busy: str) -> None:
    """However many runs of one kind are queued first, those of the other are found."""
    send(**{busy: 20})
    send(**{"loop" if busy == "plain" else "plain": 3})
    filler, threads, tasks = build(store, 4, 4)
    filler.fill()
    full, other = (threads, tasks) if busy == "plain" else (tasks, threads)
    assert len(full.taken) == 4
    assert len(other.taken) == 3


def test_what_is_left_is_asked_for_again(store: Store, kinds: None) -> None:
    """A crew that took all it could is hungry, and each look after a slot became free takes more."""
    send(plain=10)
    filler, threads, _ = build(store, 4, 4)
    for _ in range(5):
        filler.fill()
        threads.active = 0
    assert len(threads.taken) == 10
    assert Run.objects.filter(status="queued").count() == 0


def test_an_empty_answer_is_believed_for_a_while(store: Store, kinds: None, monkeypatch: Any) -> None:
    """The question by kind reads past the other kind's runs, so it is not put again at once; but it is put again."""
    send(plain=20)
    filler, threads, tasks = build(store, 4, 4)
    filler.fill()
    assert threads.hungry
    send(loop=1)
    filler.fill()
    assert tasks.hungry
    assert workflows(tasks) == []
    monkeypatch.setattr(filler, "_believed", {})
    filler.fill()
    assert workflows(tasks) == ["loop"]


def test_a_small_crew_does_not_make_claims_small(store: Store, kinds: None, monkeypatch: Any) -> None:
    """While only one kind is queued its crew is filled by one claim, however few slots the other has."""
    send(loop=60)
    filler, threads, tasks = build(store, 2, 40)
    filler.fill()
    assert len(tasks.taken) == 40
    tasks.active = 1
    monkeypatch.setattr(filler, "_believed", dict.fromkeys(filler._believed, float("inf")))
    monkeypatch.setattr(filler._lookout, "is_due", lambda: False)
    with CaptureQueriesContext(connections[store.alias]) as captured:
        filler.fill()
    assert len(tasks.taken) == 40 + 20
    assert (
        len([each for each in captured if "(claim)" in each["sql"] or "token = r.token + 1" in each["sql"]])
        == 1
    )
    assert threads.taken == []


def test_an_idle_look_asks_for_both_kinds_at_once(store: Store, kinds: None) -> None:
    """With nothing queued a claim for both crews tells so, and none is made for either."""
    filler, threads, tasks = build(store, 4, 4)
    filler.fill()
    with CaptureQueriesContext(connections[store.alias]) as captured:
        assert filler.fill() == POLL_SECONDS
    asked = [each["sql"] for each in captured if "UPDATE" in each["sql"]]
    assert asked
    assert not [sql for sql in asked if "AND workflow" in sql or "AND NOT workflow" in sql]
    assert not threads.hungry
    assert not tasks.hungry


def test_memos_of_several_runs_are_loaded_together(store: Store, kinds: None, monkeypatch: Any) -> None:
    """Each run gets exactly its own memos in their order; one that would be cut off loads its own."""
    send(plain=3)
    ids = [run.id for run in claim_runs(store.alias, owner="me", lease=60, queue="durable", limit=3)]
    for count, run_id in enumerate(ids):
        for number in range(count):
            Step.objects.create(run_id=run_id, name=f"s{number}", kind="run", status="completed", output="1")
    whole = load_memos_of(store.alias, ids)
    names = {run_id: [memo.name for memo in memos] for run_id, memos in whole.items()}
    assert names == {run_id: [memo.name for memo in load_memos(store.alias, run_id)] for run_id in ids}
    monkeypatch.setattr(load, "MOST_ROWS", 2)
    cut = load_memos_of(store.alias, ids)
    assert all(names[run_id] == [memo.name for memo in memos] for run_id, memos in cut.items())
    assert len(cut) < 3
