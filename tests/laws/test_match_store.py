"""Matching through the store: what the index finds is what plain evaluation says, in every batching."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_django import EventWait, send_event, workflow
from durable_django.define.cancel import Cancel
from durable_django.define.registry import registry
from durable_django.engine import answer_waits
from durable_django.engine.expressions import compile_expression, is_never_bool
from durable_django.engine.match import event_keys
from durable_django.engine.operations import cancel_run
from durable_django.engine.receive import prepare_events
from durable_django.engine.route import route_events, route_stored
from durable_django.ids import new_id
from durable_django.models import Event, PathSet, Run, Wait, WaitKey
from durable_django.store.base import EventRow
from durable_django.store.event import insert_events
from durable_django.store.find_asked import build_query, read_path_sets
from durable_django.testing import advance
from tests.conditions import datas, sources
from tests.plans import list_reads, list_whole
from tests.plugins.store import Store
from tests.quiet import QUIET
from tests.threads import run_together

numbers = itertools.count()
Data = dict[str, Any]


def store_events(alias: str, name: str, listed: Sequence[Data]) -> list[EventRow]:
    """Commit events as a sender does that stops before it routes."""
    given = [{"name": name, "data": data} for data in listed]
    rows = prepare_events(given, source="code", make_id=lambda _: new_id())
    insert_events(alias, rows)
    return rows


def declare_asking() -> Any:
    """Return a workflow that waits for an event as its input says."""

    @workflow(id="asking")
    def asking(ctx: Any) -> None:
        given = ctx.event.data
        ctx.step.wait_for_event(
            "w", event=given["name"], if_exp=given.get("if"), match=given.get("match"), timeout="1h"
        )

    return asking


def find_taken(handles: Sequence[Any], rows: Sequence[EventRow]) -> list[int | None]:
    """Return for each run the number of the event that its wait took."""
    order = {row.id: number for number, row in enumerate(rows)}
    taken = dict(Wait.objects.filter(status="matched").values_list("run_id", "event_id"))
    return [order.get(taken.get(Run.objects.get(id=handle.id).id)) for handle in handles]


usable = sources.filter(lambda text: not is_never_bool(compile_expression(text, allow_async=True).root))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], database=None)
@given(
    waits=st.lists(st.tuples(usable, datas), min_size=1, max_size=6),
    incoming=st.lists(datas, min_size=1, max_size=5),
    batch=st.sampled_from([1, 2, 100]),
    page=st.sampled_from([1, 2, 1_000]),
    repeated=st.booleans(),
)
def test_each_wait_takes_the_first_event_that_evaluation_accepts(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    waits: list[tuple[str, Data]],
    incoming: list[Data],
    batch: int,
    page: int,
    repeated: bool,
) -> None:
    """For random conditions, data, sizes of batches and pages, and repeated routing: the brute-force answer."""
    monkeypatch.setattr(answer_waits, "PAGE", page)
    name = f"app/{next(numbers)}"
    asking = declare_asking()
    handles = [asking.start({**data, "name": name, "if": source}) for source, data in waits]
    rows = store_events(store.alias, name, incoming)
    for start in range(0, len(rows), batch):
        for _ in range(1 + repeated):
            route_events(store.alias, rows[start : start + batch])
    expected = []
    for source, data in waits:
        expression = compile_expression(source, allow_async=True)
        answers = [expression.evaluate({"data": data}, {"data": each}).value for each in incoming]
        expected.append(answers.index(True) if True in answers else None)
    assert find_taken(handles, rows) == expected
    assert not Event.objects.filter(name=name, routed_at=None).exists()


def test_the_order_of_a_list_decides_in_one_batch(store: Store) -> None:
    """Of several events of one batch a wait takes the earliest that matches, whatever the others do."""
    asking = declare_asking()
    equal = [asking.start({"name": "app/x", "match": "data.n", "n": n}) for n in (2, 1, 3)]
    above = [asking.start({"name": "app/x", "if": f"async.data.n > {n}"}) for n in (0, 1, 2, 9)]
    rows = store_events(store.alias, "app/x", [{"n": n} for n in (1, 3, 2, 3, 1)])
    route_events(store.alias, rows)
    assert find_taken(equal, rows) == [2, 0, 1]
    assert find_taken(above, rows) == [0, 1, 1, None]


def test_each_wait_is_claimed_once_by_concurrent_routers(store: Store, configure: Any) -> None:
    """Of eight routers of the same events each claims its own waits: every run is woken once, by one event."""
    asking = declare_asking()
    for number in range(24):
        asking.start({"name": "app/x", "if": f"async.data.n >= {number % 3}"})
    rows = store_events(store.alias, "app/x", [{"n": n} for n in range(3)])
    configure(DISPATCHER=QUIET)
    woken = run_together([lambda: route_events(store.alias, rows)] * 8)
    assert sum(woken) == 24
    assert set(Run.objects.values_list("wakeups", "status")) == {(1, "queued")}
    assert Wait.objects.filter(status="matched").count() == 24
    assert route_events(store.alias, rows) == 0
    assert set(Run.objects.values_list("wakeups", flat=True)) == {1}


@pytest.mark.parametrize("ending", ["event", "time-out", "cancel", "rule", "sibling"])
def test_no_key_outlives_its_wait(store: Store, ending: str) -> None:
    """However a wait ends, no row is left under which an event would look at it again."""

    @workflow(id="flow", trigger="app/begin", cancel_on=[Cancel("app/stop", match="data.n")])
    def flow(ctx: Any) -> None:
        questions = [EventWait(event=f"app/{name}", match="data.n") for name in "ab"]
        if ending == "sibling":
            ctx.step.wait_for_any("w", questions, timeout="1h")
        else:
            ctx.step.wait_for_all("w", questions, timeout="1h")

    send_event("app/begin", {"n": 1})
    assert WaitKey.objects.count() == 3
    if ending == "time-out":
        advance("2h")
    elif ending == "cancel":
        cancel_run(Run.objects.get().id, actor="me", reason="")
    elif ending == "rule":
        send_event("app/stop", {"n": 1})
    else:
        for name in "b" if ending == "sibling" else "ab":
            send_event(f"app/{name}", {"n": 1})
    assert Run.objects.get().ended_at is not None
    assert Wait.objects.filter(status="open").count() == 0
    assert WaitKey.objects.count() == 0
    assert PathSet.objects.count() == 3


def fill(alias: str, name: str, count: int) -> None:
    """Store open waits of one event name, each with a key of its own."""
    asking = (registry.find("asking") or declare_asking()).start(
        {"name": name, "match": "data.n", "n": "first"}
    )
    first = Wait.objects.get(run_id=asking.id)
    runs = [
        Run(workflow="asking", event_id=new_id(), queue="q", wake_at=first.expires_at) for _ in range(count)
    ]
    Run.objects.bulk_create(runs, batch_size=500)
    common = {"event_name": name, "match": "data.n", "name": "w", "expires_at": first.expires_at}
    Wait.objects.bulk_create(
        [Wait(run_id=run.id, bound=f'{{"data":{{"n":{n}}}}}', **common) for n, run in enumerate(runs)],
        batch_size=500,
    )
    sets = read_path_sets(alias, [name])[name]
    made = {run.id: n for n, run in enumerate(runs)}
    waits = Wait.objects.filter(event_name=name).values_list("id", "run_id")
    WaitKey.objects.bulk_create(
        [
            WaitKey(wait_id=wait_id, key=key)
            for wait_id, run_id in waits
            if run_id in made
            for key in event_keys(name, sets, {"data": {"n": made[run_id]}})
        ],
        batch_size=500,
    )
    with connections[alias].cursor() as cursor:
        cursor.execute("ANALYZE")


def count_statements(alias: str, part: str, rows: Sequence[EventRow]) -> int:
    """Route the events and return how many statements contained ``part``."""
    seen: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with connections[alias].execute_wrapper(note):
        route_events(alias, rows)
    return sum(part in sql for sql in seen)


def test_a_batch_takes_as_many_statements_as_an_event(store: Store, configure: Any) -> None:
    """The number of statements grows neither with the waits nor, on PostgreSQL, with the events of a batch."""
    fill(store.alias, "app/x", 30)
    configure(DISPATCHER=QUIET)
    one = count_statements(store.alias, "durable_django", store_events(store.alias, "app/x", [{"n": 3}]))
    configure(DISPATCHER="inline")
    fill(store.alias, "app/x", 2_000)
    configure(DISPATCHER=QUIET)
    assert (
        count_statements(store.alias, "durable_django", store_events(store.alias, "app/x", [{"n": 700}]))
        == one
    )
    none = [{"n": n} for n in range(10_000, 10_050)]
    batch = count_statements(store.alias, "durable_django", store_events(store.alias, "app/x", none))
    if store.name == "postgres":
        assert one == 4  # start, path-sets, candidates, end
        assert batch == one
    else:
        assert batch <= one + 3 * len(none)


def test_the_plan_uses_the_key_index(store: Store) -> None:
    """The candidates are found through the index on (key, wait), and no table is scanned as a whole."""
    fill(store.alias, "app/x", 3_000)
    (row,) = store_events(store.alias, "app/x", [{"n": 7}])
    sets = read_path_sets(store.alias, ["app/x"])["app/x"]
    pairs = [(key, row.id) for key in event_keys("app/x", sets, {"data": {"n": 7}})]
    sql, params = build_query(store.alias, pairs, above=0, limit=1_000)
    reads = list_reads(store, sql, params)
    assert list_whole(store, sql, params) == []
    (keys,) = [read for read in reads if read.table == "durable_django_waitkey"]
    assert keys.index == "durable_wait_key"
    assert "key" in keys.condition


def test_thousands_of_candidates_are_paged(store: Store, configure: Any) -> None:
    """A hot key whose candidates must each be decided is read a page at a time, and ends all that match."""
    fill(store.alias, "app/x", 2_500)
    configure(DISPATCHER=QUIET)
    WaitKey.objects.update(key=WaitKey.objects.order_by("id").values_list("key", flat=True)[0])
    Wait.objects.update(match="", expression="async.data.n == 'first' && async.data.k > 0")
    rows = store_events(store.alias, "app/x", [{"n": "first", "k": 0}, {"n": "first", "k": 1}])
    assert count_statements(store.alias, "WITH sent AS", rows) == 3
    assert set(Wait.objects.values_list("status", "event_id")) == {("matched", rows[1].id)}
    assert WaitKey.objects.count() == 0
    assert route_stored(store.alias) == 0
