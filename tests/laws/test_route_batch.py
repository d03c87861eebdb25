"""A batch of events gives what its events give one by one, cancel rules and shared waits included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections

from durable_django import EventWait, send_event, send_events, workflow
from durable_django.conf import settings
from durable_django.define.cancel import Cancel
from durable_django.engine import answer_waits, cancel_rule
from durable_django.engine.nudge import Nudge
from durable_django.engine.receive import prepare_events
from durable_django.engine.route import route_events
from durable_django.ids import new_id
from durable_django.models import Event, Run, Wait, WaitKey
from durable_django.store.base import EventRow
from durable_django.store.event import insert_events
from tests.plugins.store import Store
from tests.threads import run_together


def store_events(alias: str, listed: Sequence[tuple[str, dict[str, Any]]]) -> list[EventRow]:
    given = [{"name": name, "data": data} for name, data in listed]
    rows = prepare_events(given, source="code", make_id=lambda _: new_id())
    insert_events(alias, rows)
    return rows


@pytest.mark.parametrize("page", [1, 1_000])
def test_of_several_branches_the_earliest_event_wins(
    store: Store, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """In a step with several waits the event that arrived first ends it, whatever the order of the waits."""
    monkeypatch.setattr(answer_waits, "PAGE", page)

    @workflow(id="either")
    def either(ctx: Any) -> Any:
        number, found = ctx.step.wait_for_any(
            "w", [EventWait(event="app/a"), EventWait(event="app/b")], timeout="1h"
        )
        return [number, found.data["n"]]

    handle = either.start()
    route_events(store.alias, store_events(store.alias, [("app/b", {"n": 1}), ("app/a", {"n": 2})]))
    assert handle.result(0) == [1, 1]
    assert WaitKey.objects.count() == 0


def declare_stoppable() -> Any:
    @workflow(
        id="flow", trigger="app/begin", cancel_on=[Cancel("app/stop", match="data.n"), Cancel("app/halt")]
    )
    def flow(ctx: Any) -> None:
        ctx.step.wait_for_event("w", event="app/answer", match="data.n", timeout="1h")

    return flow


def count_statements(alias: str, work: Any) -> int:
    seen: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with connections[alias].execute_wrapper(note):
        work()
    return len(seen)


def test_cancel_rules_of_many_runs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One event or a batch of them cancels all runs whose rules match, each once, in several transactions."""
    monkeypatch.setattr(cancel_rule, "AT_ONCE", 3)
    declare_stoppable()
    send_events([{"name": "app/begin", "data": {"n": n % 4}} for n in range(16)])
    assert Wait.objects.filter(kind="cancel", status="open").count() == 32
    route_events(store.alias, store_events(store.alias, [("app/stop", {"n": n}) for n in (0, 1, 0)]))
    assert Run.objects.filter(status="cancelled").count() == 8
    assert set(Run.objects.filter(status="cancelled").values_list("reason", flat=True)) == {
        "cancelled by event app/stop"
    }
    send_event("app/halt")
    assert Run.objects.filter(status="cancelled").count() == 16
    assert Wait.objects.filter(kind="cancel", status="matched").count() == 16
    assert Wait.objects.filter(status="open").count() == WaitKey.objects.count() == 0


def test_the_first_of_two_rules_is_the_reason(store: Store) -> None:
    """Of two events that cancel one run in one batch the earlier one is named."""
    declare_stoppable()
    send_event("app/begin", {"n": 1})
    route_events(store.alias, store_events(store.alias, [("app/halt", {}), ("app/stop", {"n": 1})]))
    assert Run.objects.get().reason == "cancelled by event app/halt"
    assert sorted(Wait.objects.values_list("kind", "status")) == [
        ("cancel", "closed"),
        ("cancel", "matched"),
        ("event", "closed"),
    ]


def test_a_parent_hears_of_a_child_that_a_rule_cancels(store: Store) -> None:
    """Parents and children that are cancelled together, or alone, leave nobody waiting."""
    child = workflow(id="child", cancel_on=[Cancel("app/stop", match="data.n")])(
        lambda ctx: ctx.step.sleep("s", "1h")
    )

    @workflow(id="parent", cancel_on=[Cancel("app/stop", match="data.both")])
    def parent(ctx: Any) -> Any:
        try:
            ctx.step.invoke("c", function=child, data=dict(ctx.event.data))
        except Exception as error:
            return type(error).__name__

    handles = [parent.start({"n": n, "both": n if n < 2 else 99}) for n in range(4)]
    route_events(
        store.alias, store_events(store.alias, [("app/stop", {"n": n, "both": n}) for n in range(4)])
    )
    assert [handle.status for handle in handles] == ["cancelled", "cancelled", "completed", "completed"]
    assert Run.objects.filter(ended_at=None).count() == 0


def test_concurrent_routers_cancel_once(store: Store) -> None:
    """Of several routers of the same events one cancels a run, without deadlock."""
    declare_stoppable()
    send_events([{"name": "app/begin", "data": {"n": n % 3}} for n in range(12)])
    rows = store_events(store.alias, [("app/stop", {"n": n}) for n in range(3)] + [("app/halt", {})])
    run_together([lambda: route_events(store.alias, rows), lambda: route_events(store.alias, rows[::-1])] * 3)
    assert set(Run.objects.values_list("status", flat=True)) == {"cancelled"}
    assert Wait.objects.filter(kind="cancel", status="matched").count() == 12


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_rules_of_a_batch_are_armed_by_one_statement(store: Store, configure: Any) -> None:
    """Starting many runs with cancel rules takes as many statements as starting one."""
    configure(DISPATCHER="tests.quiet.Quiet")
    declare_stoppable()
    one = store_events(store.alias, [("app/begin", {"n": 1})])
    many = store_events(store.alias, [("app/begin", {"n": n}) for n in range(30)])
    few = count_statements(store.alias, lambda: route_events(store.alias, one))
    assert count_statements(store.alias, lambda: route_events(store.alias, many)) == few
    assert Wait.objects.filter(kind="cancel").count() == 62
    assert WaitKey.objects.count() == 62


def test_a_batch_of_many_names(store: Store) -> None:
    """Events of several names, some that nobody asks for, are routed together and all marked."""

    @workflow(id="asking")
    def asking(ctx: Any) -> Any:
        name = ctx.event.data["name"]
        found = ctx.step.wait_for_event("w", event=name, match="data.name", timeout="1h")
        return found and found.name

    handles = [asking.start({"name": f"app/{letter}"}) for letter in "abc"]
    listed = [(f"app/{letter}", {"name": f"app/{letter}"}) for letter in "dcaeb"]
    route_events(store.alias, store_events(store.alias, listed))
    assert [handle.result(0) for handle in handles] == ["app/a", "app/b", "app/c"]
    assert not Event.objects.filter(routed_at=None).exists()


@dataclass(frozen=True)
class Page:
    """What the store says of a page while its runs are announced."""

    runs: int
    queued: int
    still_open: int
    in_transaction: bool


class Witness:
    """A dispatcher that looks at the store with each nudge."""

    pages: list[Page] = []

    def nudge(self, nudges: Sequence[Nudge]) -> None:
        queued = Run.objects.filter(id__in=[each.run_id for each in nudges], status="queued").count()
        still_open = Wait.objects.filter(status="open").count()
        in_transaction = connections[settings.DATABASE].in_atomic_block
        self.pages.append(Page(len(nudges), queued, still_open, in_transaction))


def test_a_page_is_announced_when_it_is_committed(
    store: Store, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers hear of the runs of one page while the waits of the later ones are still open."""

    @workflow(id="asking")
    def asking(ctx: Any) -> None:
        ctx.step.wait_for_event("w", event="app/answer", timeout="1h")

    for _ in range(5):
        asking.start()
    configure(DISPATCHER=f"{__name__}.Witness")
    monkeypatch.setattr(answer_waits, "PAGE", 2)
    monkeypatch.setattr(Witness, "pages", [])
    assert route_events(store.alias, store_events(store.alias, [("app/answer", {})])) == 5
    assert Witness.pages == [Page(2, 2, 3, False), Page(2, 2, 1, False), Page(1, 1, 0, False)]
