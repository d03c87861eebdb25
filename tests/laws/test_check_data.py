"""The oracle finds each kind of damage, names exactly that, and finds nothing in data that is whole."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connections, transaction

from durable_django.clock import later_sql
from durable_django.engine.invariants import find_violations, list_invariants
from durable_django.exceptions import UnknownInvariant
from durable_django.models import Attempt, Event, Run, Step, Wait
from durable_django.store import invariant
from durable_django.store.base import adapt_id
from durable_django.testing import advance
from tests import busy
from tests.commands import run_durable
from tests.databases import forget_figures
from tests.plugins.store import Store
from tests.waiting import wait_until

RUN, STEP, WAIT, EVENT = (f"durable_django_{name}" for name in ("run", "step", "wait", "event"))
KEY, ATTEMPT, RESULT = (f"durable_django_{name}" for name in ("waitkey", "attempt", "runresult"))


class Damage:
    """Writes past the engine: ``sql`` with ``{past}`` and ``{future}`` for instants a day away."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def sql(self, text: str, *values: Any) -> None:
        vendor = self.store.vendor
        instants = {"past": later_sql(vendor, "-86400"), "future": later_sql(vendor, "86400")}
        values = tuple(adapt_id(self.store.alias, v) if isinstance(v, uuid.UUID) else v for v in values)
        with connections[self.store.alias].cursor() as cursor:
            cursor.execute(text.format(**instants), list(values))
            assert cursor.rowcount != 0, "nothing was damaged"

    def run(self, **found: Any) -> Run:
        return Run.objects.using(self.store.alias).filter(**found)[0]

    def step(self, **found: Any) -> Step:
        return Step.objects.using(self.store.alias).filter(**found)[0]

    def wait(self, **found: Any) -> Wait:
        return Wait.objects.using(self.store.alias).filter(status="open", **found)[0]


def lose_lease(d: Damage) -> None:
    run = d.run(workflow="retrier")
    d.sql(
        f"UPDATE {RUN} SET status = 'running', waits_for = '', owner = 'host:1', wake_at = {{past}} WHERE id = %s",
        run.id,
    )


def lose_owner(d: Damage) -> None:
    run = d.run(workflow="retrier")
    d.sql(f"UPDATE {RUN} SET status = 'running', waits_for = '', wake_at = {{future}} WHERE id = %s", run.id)


def lose_nudge(d: Damage) -> None:
    run = d.run(workflow="retrier")
    d.sql(f"UPDATE {RUN} SET status = 'queued', waits_for = '' WHERE id = %s", run.id)


def lose_step(d: Damage) -> None:
    step = d.step(kind="sleep", run__workflow="child", run__status="waiting")
    d.sql(f"UPDATE {STEP} SET status = 'completed', ended_at = {{past}} WHERE id = %s", step.pk)


def write_late(d: Damage) -> None:
    run = d.run(workflow="daily", status="completed")
    d.sql(f"UPDATE {STEP} SET ended_at = {{future}} WHERE run_id = %s", run.id)


def half_do(d: Damage) -> None:
    step = d.step(run__workflow="daily", status="completed")
    d.sql(f"UPDATE {STEP} SET ended_at = NULL WHERE id = %s", step.pk)


def drop_constraint(d: Damage) -> None:
    d.sql("DROP INDEX durable_wait_signal")


def start_twice(d: Damage) -> None:
    first, second = Run.objects.using(d.store.alias).filter(workflow="many")[:2]
    d.sql(f"UPDATE {RUN} SET event_id = %s WHERE id = %s", first.event_id, second.id)


def leave_unrouted(d: Damage) -> None:
    event = Event.objects.using(d.store.alias).filter(name="busy/wait")[0]
    d.sql(f"UPDATE {EVENT} SET routed_at = NULL, created_at = {{past}} WHERE id = %s", event.id)


def lose_event(d: Damage) -> None:
    d.sql(f"DELETE FROM {EVENT} WHERE id = %s", d.run(workflow="daily", status="completed").event_id)


def lose_start(d: Damage) -> None:
    event = Event.objects.using(d.store.alias).filter(name="busy/nobody")[0]
    d.sql(f"UPDATE {EVENT} SET reasons = NULL WHERE id = %s", event.id)


def reopen_wait(d: Damage) -> None:
    run = d.run(workflow="waiter", status="cancelled")
    d.sql(f"UPDATE {WAIT} SET status = 'open', ended_at = NULL WHERE run_id = %s AND kind = 'event'", run.id)


def forget_wait(d: Damage) -> None:
    wait = d.wait(kind="event", name="paid")
    d.sql(
        f"UPDATE {STEP} SET status = 'completed', output = 'null', ended_at = {{past}} WHERE run_id = %s",
        wait.run_id,
    )
    d.sql(
        f'INSERT INTO {STEP} (run_id, name, "index", kind, status, attempt, token, started_at) '
        "VALUES (%s, 'other', 0, 'sleep', 'waiting', 0, 1, {past})",
        wait.run_id,
    )


def lose_wait(d: Damage) -> None:
    wait = d.wait(kind="event", name="paid")
    d.sql(f"DELETE FROM {KEY} WHERE wait_id = %s", wait.pk)
    d.sql(f"DELETE FROM {WAIT} WHERE id = %s", wait.pk)


def half_end_wait(d: Damage) -> None:
    d.sql(f"UPDATE {WAIT} SET ended_at = NULL WHERE status = 'matched' AND kind = 'event' AND name = 'paid'")


def miss_event(d: Damage) -> None:
    wait = d.wait(kind="event", name="paid")
    event = Event.objects.using(d.store.alias).get(name="busy/paid")
    data = Event.objects.using(d.store.alias).get(runs=wait.run_id).data
    d.sql(f"UPDATE {EVENT} SET data = %s, arrival = 100000 WHERE id = %s", data, event.id)


def expire_early(d: Damage) -> None:
    wait = Wait.objects.using(d.store.alias).get(name="paid", status="matched")
    d.sql(f"UPDATE {WAIT} SET status = 'expired', event_id = NULL WHERE id = %s", wait.pk)


def oversleep(d: Damage) -> None:
    wait = d.wait(kind="event", name="paid")
    d.sql(f"UPDATE {WAIT} SET expires_at = {{future}} WHERE id = %s", wait.pk)


def retry_early(d: Damage) -> None:
    second = Attempt.objects.using(d.store.alias).filter(run__workflow="unlucky", number=1)
    pick = [each for each in second if each.run_id not in audited(d)][0]
    d.sql(f"UPDATE {ATTEMPT} SET started_at = {{past}} WHERE id = %s", pick.pk)


def audited(d: Damage) -> set[uuid.UUID]:
    from durable_django.models import AuditEntry

    return {row for row in AuditEntry.objects.using(d.store.alias).values_list("run_id", flat=True) if row}


def turn_schedule_back(d: Damage) -> None:
    d.sql("UPDATE durable_django_schedule SET last_at = next_at")


def miss_schedule(d: Damage) -> None:
    d.sql("UPDATE durable_django_schedule SET next_at = {past}, last_at = NULL")


def lose_child(d: Damage) -> None:
    run = d.run(workflow="child", parent_id__isnull=False, status="waiting")
    d.sql(f"UPDATE {RUN} SET parent_index = 1 WHERE id = %s", run.id)
    step = d.step(run_id=run.parent_id)
    d.sql(
        f'INSERT INTO {STEP} (run_id, name, "index", kind, status, attempt, token, started_at) '
        "VALUES (%s, %s, 1, 'sleep', 'waiting', 0, 1, {past})",
        run.parent_id,
        step.name,
    )


def double_child(d: Damage) -> None:
    run = d.run(workflow="child", parent_id__isnull=False, status="waiting")
    other = d.run(workflow="retrier")
    d.sql(
        f"UPDATE {RUN} SET parent_id = %s, parent_step = %s WHERE id = %s",
        run.parent_id,
        run.parent_step,
        other.id,
    )


def end_by_halves(d: Damage) -> None:
    d.sql(f"DELETE FROM {RESULT} WHERE run_id = %s", d.run(workflow="daily", status="completed").id)


def go_on(d: Damage) -> None:
    run = d.run(workflow="waiter", status="cancelled")
    d.sql(f"UPDATE {STEP} SET started_at = {{future}} WHERE run_id = %s", run.id)


def orphan(d: Damage) -> None:
    step = d.step(run__workflow="daily")
    d.sql(f"UPDATE {STEP} SET run_id = %s WHERE id = %s", uuid.uuid4(), step.pk)


def leave_key(d: Damage) -> None:
    wait = Wait.objects.using(d.store.alias).get(name="paid", status="matched")
    d.sql(f"INSERT INTO {KEY} (wait_id, key) VALUES (%s, 1)", wait.pk)


def lose_attempt(d: Damage) -> None:
    d.sql(f"DELETE FROM {ATTEMPT} WHERE run_id = %s", d.run(workflow="retrier").id)


def go_on_crashing(d: Damage) -> None:
    d.sql(f"UPDATE {RUN} SET crash_count = 50 WHERE id = %s", d.run(workflow="retrier").id)


def write_unfenced(d: Damage) -> None:
    step = d.step(run__workflow="daily")
    d.sql(f"UPDATE {STEP} SET token = 77 WHERE id = %s", step.pk)


def end_by_other(d: Damage) -> None:
    wait = Wait.objects.using(d.store.alias).get(name="paid", status="matched")
    other = Event.objects.using(d.store.alias).filter(name="busy/nobody")[0]
    d.sql(f"UPDATE {WAIT} SET event_id = %s WHERE id = %s", other.id, wait.pk)


def adopt(d: Damage) -> None:
    run = d.run(workflow="child", parent_id__isnull=False, status="completed")
    d.sql(f"UPDATE {RUN} SET parent_step = 'never' WHERE id = %s", run.id)


def bloat_text(d: Damage) -> None:
    d.sql(
        f"UPDATE {ATTEMPT} SET traceback = %s WHERE run_id = %s", "x" * 80_000, d.run(workflow="retrier").id
    )


def add_steps(d: Damage, number: int) -> None:
    d.sql(
        f'INSERT INTO {STEP} (run_id, name, "index", kind, status, attempt, token, started_at, ended_at, output) '
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) "
        "SELECT %s, 'many', i, 'run', 'completed', 0, 1, {past}, {past}, '1' FROM n",
        number,
        d.run(workflow="daily", status="completed").id,
    )


def go_round(d: Damage) -> None:
    add_steps(d, 10_001)


def be_late(d: Damage) -> None:
    d.sql("UPDATE durable_django_worker SET seen_at = {future}")
    d.sql(f"UPDATE {RUN} SET wake_at = {{past}} WHERE id = %s", d.run(workflow="retrier").id)


def stop_ticking(d: Damage) -> None:
    be_late(d)
    d.sql("DELETE FROM durable_django_worker")


DAMAGES = {
    "I1": lose_lease,
    "I1-owner": lose_owner,
    "I2": lose_nudge,
    "I2-wait": lose_step,
    "I3": write_late,
    "I3-half": half_do,
    "I3-unique": drop_constraint,
    "I4": start_twice,
    "I5": leave_unrouted,
    "I5-run": lose_event,
    "I5-silent": lose_start,
    "I6": reopen_wait,
    "I6-step": forget_wait,
    "I6-lost": lose_wait,
    "I6-half": half_end_wait,
    "I6-unanswered": miss_event,
    "I7": expire_early,
    "I7-late": oversleep,
    "I7-retry": retry_early,
    "I8": turn_schedule_back,
    "I8-due": miss_schedule,
    "I9": lose_child,
    "I9-twins": double_child,
    "I10": end_by_halves,
    "I10-after": go_on,
    "I11": orphan,
    "I11-key": leave_key,
    "I12": lose_attempt,
    "I13": go_on_crashing,
    "I14": write_unfenced,
    "I16": end_by_other,
    "I16-parent": adopt,
    "I17": bloat_text,
    "I17-steps": go_round,
    "I18": be_late,
    "I18-tick": stop_ticking,
}
SEEN_TOO = {
    "I1": {"I2", "I18-tick"},
    "I1-owner": {"I2"},
    "I4": {"I5-silent"},
    "I18": {"I2"},
    "I18-tick": {"I2", "I18"},
}
"""What the same damage breaks besides, by its nature."""
APART = {"I18-bloat"}
"""What has a test of its own, since the server counts dead rows after the end of transactions only."""


@pytest.fixture
def whole(store: Store) -> Damage:
    """The busy database; whatever the test does to it is taken back."""
    forget_figures(store.alias)
    run_durable("tick")
    busy.fill()
    advance("2m")  # what was sent last has been on its way for long enough
    return Damage(store)


def find(store: Store, **options: Any) -> set[str]:
    return {each.id for each in find_violations(store.alias, live=False, **options)}


def test_whole_data_breaks_nothing(whole: Damage) -> None:
    """A busy database in which nothing is wrong gives no violation, at work or at rest."""
    states = set(Run.objects.using(whole.store.alias).values_list("status", flat=True))
    assert states == {"waiting", "completed", "failed", "cancelled", "paused"}
    assert set(Wait.objects.using(whole.store.alias).values_list("kind", flat=True)) > {
        "event",
        "cancel",
        "child",
    }
    for live in (True, False):
        assert find_violations(whole.store.alias, live=live) == []


def test_each_damage_is_found_and_named(whole: Damage) -> None:
    """Each invariant is broken by hand once, and the oracle finds that and nothing else."""
    wrong = {}
    for id, damage in DAMAGES.items():
        with transaction.atomic(using=whole.store.alias):
            damage(whole)
            found = find(whole.store)
            transaction.set_rollback(True, using=whole.store.alias)
        if found != {id} | SEEN_TOO.get(id, set()):
            wrong[id] = found
    assert not wrong
    assert find(whole.store) == set()


def test_every_invariant_was_broken_once(whole: Damage) -> None:
    """No invariant is without a damage that it was seen to find."""
    known = {each.id for each in list_invariants(whole.store.alias, live=False)}
    assert known == set(DAMAGES) | (APART if whole.store.vendor == "postgresql" else set())


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_dead_rows_that_pile_up_are_found(whole: Damage) -> None:
    """As many dead rows as live ones in a large table are told, until they are cleared away."""
    using = whole.store.alias
    assert find_violations(using, only=["I18-bloat"]) == []
    add_steps(whole, 10_001)
    with transaction.atomic(using=using):
        whole.sql(f"UPDATE {STEP} SET token = token")
    wait_until(lambda: find(whole.store, only=["I18-bloat"]) == {"I18-bloat"}, what="the server's figures")
    with connections[using].cursor() as cursor:
        cursor.execute(f"VACUUM {STEP}")
    wait_until(lambda: find(whole.store, only=["I18-bloat"]) == set(), what="the server's figures")


def test_what_must_hold_at_rest_only_is_left_out_at_work(whole: Damage) -> None:
    """A queued run is no violation of a system at work."""
    lose_nudge(whole)
    assert find_violations(whole.store.alias) == []
    assert find(whole.store) == {"I2"}


def test_only_a_choice_is_checked(whole: Damage) -> None:
    """A number chooses all that begin with it, an id just itself, and what is unknown is refused."""
    alias = whole.store.alias
    assert {each.id for each in list_invariants(alias, only=["I9"])} == {"I9", "I9-twins"}
    assert {each.id for each in list_invariants(alias, only=["I9-twins", "I4"])} == {"I4", "I9-twins"}
    with pytest.raises(UnknownInvariant, match="I1, I2, I3"):
        list_invariants(alias, only=["I99"])


@contextmanager
def blocking(store: Store) -> Iterator[None]:
    """Keep the steps from being read on PostgreSQL; SQLite gives up at once if it has no time at all."""
    if store.vendor == "sqlite":
        yield
        return
    with psycopg.connect(store.url) as other:
        other.execute(f"LOCK TABLE {STEP} IN ACCESS EXCLUSIVE MODE")
        yield


def test_what_takes_too_long_is_not_in_order(whole: Damage, monkeypatch: Any) -> None:
    """A check that cannot end in its time is reported as not checked, and the command ends with 2."""
    monkeypatch.setattr(invariant, "_PROGRESS_STEPS", 1)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1e8) SELECT max(i) AS i FROM n"
    with pytest.raises(invariant.TookTooLong):
        invariant.find_rows(whole.store.alias, endless, limit=1, seconds=0.05)
    with blocking(whole.store):
        said = run_durable("check_data", "--timeout", "0", "--only", "I14,I3-half", fails=True)
    assert (said.error, said.code) == ("Could not be checked: I3-half, I14.", 2)
    assert run_durable("check_data").out.endswith("invariants hold.\n")


def test_the_command_tells_what_is_wrong_and_what_to_do(whole: Damage) -> None:
    """It prints a bounded number of rows with their number and the remedy, and ends with 1."""
    whole.sql(f"UPDATE {STEP} SET token = 77")
    said = run_durable("check_data", "--rows", "3", fails=True)
    assert said.code == 1
    assert "I14" in said.error
    assert said.out.count("token=77") == 3
    assert "more\n" in said.out
    assert "older backup" in said.out
    told = run_durable("check_data", "--json", "--only", "I14,I3", fails=True).data
    (violation,) = told["violations"]
    assert (told["ok"], violation["id"], len(violation["rows"])) == (False, "I14", 20)
    assert violation["count"] == Step.objects.using(whole.store.alias).count()
    assert set(told["checked"]) == {"I3", "I3-half", "I3-unique", "I14"}
    assert uuid.UUID(violation["rows"][0]["run"])


def test_the_list_names_each(store: Store) -> None:
    """``--list`` checks nothing and names what would be checked."""
    lines = run_durable("check_data", "--list", "--quiescent").out.splitlines()
    assert [line.split()[0] for line in lines] == [
        each.id for each in list_invariants(store.alias, live=False)
    ]
