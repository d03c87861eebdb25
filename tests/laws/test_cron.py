"""Cron triggers: one run a time, and what happens after an outage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext

from durable_django import Cron, clock, workflow
from durable_django.clock import read_now
from durable_django.engine.fire import fire_due, list_crons
from durable_django.engine.sweep import sweep
from durable_django.models import Event, Run, Schedule
from durable_django.store.schedule import Move, move_schedules, read_schedules
from durable_django.testing import advance, drain
from tests.plugins.store import Store
from tests.threads import run_together


def travel_to(store: Store, moment: datetime) -> None:
    clock.travel(moment - read_now(store.alias))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def list_fired(workflow: str | None = None) -> list[str]:
    """The times for which events were stored, oldest first."""
    from durable_django.engine.codec import decode

    told = [decode(each.data) for each in Event.objects.filter(name="durable/cron.fired")]
    times = [each["scheduled_at"] for each in told if workflow in (None, each["workflow"])]
    return [f"{each:%m-%d %H:%M}" for each in sorted(times)]


def test_a_workflow_runs_at_each_time(declare: Any, store: Store) -> None:
    """A run starts at each time of its schedule, with the time in its event."""
    travel_to(store, at("2031-05-05 08:59:00"))
    seen: list[Any] = []

    @declare(id="daily", trigger=Cron("0 9 * * *", tz="Europe/Paris"))
    def daily(ctx: Any) -> Any:
        yield ctx.step.run("see", seen.append, ctx.event.data)
        return ctx.event.name

    drain()
    assert not seen
    advance("22h")
    advance("1m")
    assert [each["scheduled_at"] for each in seen] == [at("2031-05-06 07:00:00")]
    assert {key: seen[0][key] for key in ("workflow", "cron", "tz")} == {
        "workflow": "daily",
        "cron": "0 9 * * *",
        "tz": "Europe/Paris",
    }
    run = Run.objects.select_related("event", "result").get()
    assert (run.status, run.event.source, run.result.output) == ("completed", "cron", '"durable/cron.fired"')
    assert run.event.ts == int(at("2031-05-06 07:00:00").timestamp() * 1000)


@pytest.mark.parametrize("ticks", [2, 5])
def test_many_ticks_at_once_start_one_run(store: Store, ticks: int) -> None:
    """However many schedulers look at a time, it starts one run."""
    travel_to(store, at("2031-05-05 08:59:30"))
    for name in ("one", "two", "three"):
        workflow(id=name, trigger=Cron("0 * * * *"))(lambda ctx: None)
    swept = run_together([lambda: sweep(store.alias)] * ticks)
    assert sum(each.fired for each in swept) == 0
    for _ in range(3):
        clock.travel(timedelta(hours=1))
        swept = run_together([lambda: sweep(store.alias)] * ticks)
        assert sum(each.fired for each in swept) == 3
    assert sorted(Run.objects.values_list("workflow", flat=True)) == ["one"] * 3 + ["three"] * 3 + ["two"] * 3
    assert Schedule.objects.count() == 3
    assert list_fired("one") == ["05-05 09:00", "05-05 10:00", "05-05 11:00"]


def test_a_time_fires_once_even_if_its_schedule_is_set_back(store: Store) -> None:
    """The event of a time has an id of its own, so a restored backup of the schedules fires nothing twice."""
    travel_to(store, at("2031-05-05 08:59:30"))
    workflow(id="hourly", trigger=Cron("@hourly"))(lambda ctx: None)
    advance("1m")
    assert Run.objects.count() == 1
    Schedule.objects.update(next_at=at("2031-05-05 09:00:00"))
    drain()
    assert Run.objects.count() == Event.objects.count() == 1


def test_a_tick_that_dies_after_firing_loses_nothing(store: Store) -> None:
    """Its event is stored with the move of the schedule, and routed by the next tick."""
    travel_to(store, at("2031-05-05 08:59:30"))
    workflow(id="hourly", trigger=Cron("@hourly"))(lambda ctx: None)
    fire_due(store.alias)
    clock.travel(timedelta(minutes=1))
    [key] = list_crons()
    due_at, _ = read_schedules(store.alias, [key])
    from durable_django.engine.fire import _plan

    move = _plan(key, *list_crons()[key], due_at[key], read_now(store.alias))
    assert isinstance(move, Move)
    assert len(move_schedules(store.alias, [move])) == 1
    assert move_schedules(store.alias, [move]) == []
    assert not Run.objects.exists()
    assert fire_due(store.alias) == 0
    drain()
    assert Run.objects.get().status == "completed"


def test_a_new_schedule_does_not_fire_for_the_past(store: Store) -> None:
    """Its first time is the first one after a tick saw it."""
    travel_to(store, at("2031-05-05 09:00:01"))
    workflow(id="hourly", trigger=Cron("@hourly"))(lambda ctx: None)
    advance("58m")
    assert not Run.objects.exists()
    assert Schedule.objects.get().next_at == at("2031-05-05 10:00:00")
    advance("2m")
    assert Schedule.objects.get().last_at == at("2031-05-05 10:00:00")


def test_a_schedule_without_code_is_ignored(store: Store, registry: Any) -> None:
    """What is gone from the code never fires; what takes its place counts from now."""
    travel_to(store, at("2031-05-05 08:30:00"))
    empty = registry.snapshot()

    def declare(cron: str) -> None:
        workflow(id="report", trigger=Cron(cron))(lambda ctx: None)

    declare("0 * * * *")
    advance("31m")
    registry.restore(empty)
    advance("1h")
    assert list_fired() == ["05-05 09:00"]
    declare("45 * * * *")
    advance("1h")
    assert list_fired() == ["05-05 09:00", "05-05 10:45"]
    assert Schedule.objects.count() == 2


def test_a_schedule_that_is_put_back_is_caught_up(store: Store, registry: Any) -> None:
    """A deploy without the code is an outage like any other."""
    travel_to(store, at("2031-05-05 08:30:00"))
    workflow(id="report", trigger=Cron("0 * * * *"))(lambda ctx: None)
    advance("1m")
    present = registry.snapshot()
    registry.restore({})
    advance("2h")
    registry.restore(present)
    advance("1m")
    assert list_fired() == ["05-05 10:00"]


def test_a_schedule_that_cannot_fire_stops_no_other(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """In 2100 the stamps of events end: that is logged at each tick, which does the rest of its work."""
    travel_to(store, at("2099-12-31 23:59:00"))
    workflow(id="hourly", trigger=Cron("@hourly"))(lambda ctx: None)
    flow = workflow(id="napper")(lambda ctx: ctx.step.sleep("nap", "30m"))
    fire_due(store.alias)
    handle = flow.start()
    clock.travel(timedelta(minutes=31))
    assert sweep(store.alias).fired == 0
    drain()
    assert handle.status == "completed"
    assert "a schedule cannot be fired" in caplog.text


# --- after an outage ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("catchup", "expected"),
    [
        ("last", ["05-05 12:00", "05-05 13:00"]),
        ("all", ["05-05 09:00", "05-05 10:00", "05-05 11:00", "05-05 12:00", "05-05 13:00"]),
        ("none", ["05-05 13:00"]),
    ],
)
def test_missed_times_are_caught_up_as_asked(store: Store, catchup: Any, expected: list[str]) -> None:
    """After an outage: the last time, all of them, or none; then on as if nothing had been."""
    travel_to(store, at("2031-05-05 08:30:00"))
    workflow(id="hourly", trigger=Cron("@hourly", catchup=catchup))(lambda ctx: None)
    advance("4h")
    advance("30m")
    drain()
    assert list_fired() == expected
    assert Run.objects.filter(status="completed").count() == len(expected)


@pytest.mark.parametrize(("late", "fired"), [("09:00:50", 1), ("09:01:01", 0)])
def test_a_slow_tick_is_no_outage(store: Store, late: str, fired: int) -> None:
    """``none`` drops a time only when it is more than a minute late."""
    travel_to(store, at("2031-05-05 08:00:00"))
    workflow(id="hourly", trigger=Cron("0 9 * * *", catchup="none"))(lambda ctx: None)
    fire_due(store.alias)
    travel_to(store, at(f"2031-05-05 {late}"))
    drain()
    assert Run.objects.count() == fired
    assert Schedule.objects.get().next_at == at("2031-05-06 09:00:00")


def test_a_long_outage_is_caught_up_in_batches(store: Store, configure: Any) -> None:
    """One tick stores at most TICK_BATCH times of a schedule; the following ones go on, in order."""
    configure(TICK_BATCH=4)
    travel_to(store, at("2031-05-05 08:30:00"))
    workflow(id="hourly", trigger=Cron("@hourly", catchup="all"))(lambda ctx: None)
    fire_due(store.alias)
    clock.travel(timedelta(hours=10))
    assert [fire_due(store.alias) for _ in range(4)] == [4, 4, 2, 0]
    assert len(set(list_fired())) == 10


# --- cost, jitter ---------------------------------------------------------------------------------


def test_an_idle_tick_costs_one_statement_and_none_without_cron(store: Store) -> None:
    """Projects without cron triggers pay nothing, others one statement a tick, however many there are."""
    with CaptureQueriesContext(store.connection) as none:
        fire_due(store.alias)
    assert len(none) == 0
    for name in ("one", "two", "three"):
        workflow(id=name, trigger=[Cron("0 1 * * *"), Cron("0 2 * * *")])(lambda ctx: None)
    fire_due(store.alias)
    with CaptureQueriesContext(store.connection) as idle:
        fire_due(store.alias)
    assert len(idle) == 1


def test_jitter_delays_each_start_by_a_fixed_amount(store: Store) -> None:
    """Runs of one time start spread over the jitter, and a repeated tick does not draw again."""
    travel_to(store, at("2031-05-05 08:59:30"))
    for number in range(8):
        workflow(id=f"w{number}", trigger=Cron("@hourly", jitter="30m"))(lambda ctx: None)
    fire_due(store.alias)
    clock.travel(timedelta(seconds=31))
    fire_due(store.alias)
    start = int(at("2031-05-05 09:00:00").timestamp() * 1000)
    delays = [ts - start for ts in Event.objects.values_list("ts", flat=True)]
    assert len(set(delays)) == 8
    assert all(0 <= each <= 30 * 60_000 for each in delays)
    advance("30m")
    assert Run.objects.filter(status="completed").count() == 8
    assert list_fired() == ["05-05 09:00"] * 8
