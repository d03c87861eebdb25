from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from durable_django import workflow
from durable_django.clock import read_now
from durable_django.engine import bulk_actions, operations
from durable_django.engine.bulk import continue_bulk, preview_bulk, start_bulk, stop_bulk
from durable_django.engine.bulk_work import work_bulk
from durable_django.exceptions import BulkInvalid, BulkNotFound, BulkRefused
from durable_django.models import AuditEntry, BulkOperation, Run
from durable_django.testing import drain
from tests.plugins.store import Store
from tests.threads import run_together
from tests.waiting import wait_until


@pytest.fixture
def waiting(store: Store) -> Any:
    @workflow(id="waiting")
    def waiting(ctx: Any) -> Any:
        event = ctx.step.wait_for_event("w", event="w/go", timeout="1 day")
        return event and event.data

    return waiting


@pytest.fixture
def failing(store: Store) -> Any:
    @workflow(id="failing", retries=0)
    def failing(ctx: Any) -> Any:
        raise ValueError("no")

    return failing


def rows_only(count: int) -> Callable[[], bool]:
    """Return an ``is_over`` that lets so many rows through."""
    left = iter(range(count + 1))  # asked once before the first row
    return lambda: next(left, None) is None


def work() -> int:
    return work_bulk(BulkOperation.objects.db, is_over=lambda: False)


def read(bulk: BulkOperation) -> BulkOperation:
    return BulkOperation.objects.get(pk=bulk.pk)


def count(**fields: Any) -> int:
    return Run.objects.filter(**fields).count()


def test_it_changes_what_matched_before_the_cut_off(store: Store, waiting: Any, failing: Any) -> None:
    """Runs of another workflow, runs in other states and runs that come after the start are left alone."""
    early = [waiting.start() for _ in range(3)]
    failing.start()
    bulk = start_bulk("cancel", {"workflow": "waiting"}, actor="ann", reason="wrong price")
    late = waiting.start()
    assert work() == 3
    assert {run.status for run in early} == {"cancelled"}
    assert (late.status, count(status="failed")) == ("waiting", 1)
    done = read(bulk)
    assert (done.state, done.done, done.skipped, done.failed) == ("finished", 3, 0, 0)
    assert done.ended_at is not None
    assert (done.owner, done.lease_until) == ("", None)


def test_the_cut_off_may_lie_before_the_start(store: Store, waiting: Any) -> None:
    """What came between the question and its answer is left alone; a cut-off in the future is now."""
    early = waiting.start()
    asked_at = read_now(store.alias)
    # SQLite stores milliseconds: a run of the same one would count as earlier.
    wait_until(lambda: read_now(store.alias) > asked_at + timedelta(milliseconds=2))
    late = waiting.start()
    start_bulk("cancel", {"workflow": "waiting"}, actor="ann", cutoff=asked_at)
    work()
    assert (early.status, late.status) == ("cancelled", "waiting")
    bulk = start_bulk("cancel", {"workflow": "waiting"}, actor="ann", cutoff=asked_at + timedelta(days=1))
    assert bulk.cutoff < asked_at + timedelta(hours=1)


def test_each_change_is_in_the_operator_log(store: Store, waiting: Any) -> None:
    """Each run has its own row with the operation's actor, reason and number; so has the operation."""
    waiting.start()
    bulk = start_bulk("cancel", {"workflow": "waiting"}, actor="ann", reason="wrong price")
    work()
    told = AuditEntry.objects.filter(bulk_id=bulk.pk).order_by("id")
    assert [(row.action, row.actor, row.reason) for row in told] == [
        ("bulk cancel", "ann", "wrong price"),
        ("cancel", "ann", "wrong price"),
    ]
    operations.cancel_run(waiting.start().id, actor="ann")
    assert AuditEntry.objects.latest("id").bulk_id is None


def test_drain_and_the_tick_work_it_off(store: Store, waiting: Any) -> None:
    """Whoever does what is due does bulk operations too."""
    run = waiting.start()
    start_bulk("cancel", {"workflow": "waiting"}, actor="ann")
    drain()
    assert run.status == "cancelled"


@pytest.mark.parametrize(
    ("action", "chosen", "says"),
    [
        ("cancel", {}, "empty"),
        ("cancel", {"wrokflow": "x"}, "'wrokflow' is no filter"),
        ("cancel", {"status": "open"}, "'open'"),
        ("cancel", {"status": []}, "status"),
        ("cancel", {"since": "yesterday"}, "since"),
        ("cancel", {"workflow": ""}, "workflow"),
        ("cancel", {"workflow": 7}, "workflow"),
        ("cancel", {"ids": ["nonsense"]}, "ids"),
        ("cancel", {"top_level": False}, "top_level"),
        ("cancel", [], "no object"),
        ("destroy", {"workflow": "x"}, "'destroy' is no action"),
    ],
)
def test_what_is_not_understood_starts_nothing(store: Store, action: str, chosen: Any, says: str) -> None:
    """A filter with an unknown name or value is refused, never widened."""
    with pytest.raises(BulkInvalid, match=says):
        start_bulk(action, chosen, actor="ann")
    assert not BulkOperation.objects.exists()
    assert not AuditEntry.objects.exists()


def test_arguments_must_fit(store: Store) -> None:
    """What the action does not take is refused."""
    with pytest.raises(BulkInvalid, match="needs no arguments, and takes children, not value"):
        start_bulk("cancel", {"workflow": "x"}, actor="ann", arguments={"value": 1})
    with pytest.raises(BulkInvalid, match="children is neither true nor false"):
        start_bulk("cancel", {"workflow": "x"}, actor="ann", arguments={"children": "no"})
    with pytest.raises(BulkInvalid, match="needs no arguments, not children"):
        start_bulk("retry", {"workflow": "x"}, actor="ann", arguments={"children": True})


@pytest.mark.parametrize("arguments", [{}, {"children": False}, {"children": True}])
def test_a_cancellation_takes_the_children_along_if_it_is_told_to(
    store: Store, waiting: Any, arguments: dict[str, bool]
) -> None:
    """Runs that the chosen ones have invoked are cancelled with them, or go on; each is in the log."""

    @workflow(id="parent")
    def parent(ctx: Any) -> Any:
        return ctx.step.invoke("child", function=waiting, timeout="1d")

    parents = [parent.start() for _ in range(2)]
    bulk = start_bulk("cancel", {"workflow": "parent"}, actor="ann", arguments=arguments)
    work()
    assert (read(bulk).done, {each.status for each in parents}) == (2, {"cancelled"})
    word = "cancelled" if arguments.get("children") else "waiting"
    assert count(workflow="waiting", status=word) == 2
    assert AuditEntry.objects.filter(bulk_id=bulk.pk, action="cancel").count() == 2 + count(
        workflow="waiting", status="cancelled"
    )


def test_stop_and_continue(store: Store, waiting: Any) -> None:
    """A stopped operation changes nothing more; continued, it does the rest and nothing twice."""
    for _ in range(5):
        waiting.start()
    bulk = start_bulk("rerun", {"workflow": "waiting"}, actor="ann")
    work_bulk(store.alias, is_over=rows_only(2))
    assert (read(bulk).state, read(bulk).done) == ("running", 2)
    stop_bulk(bulk.pk, actor="ann", reason="enough")
    assert work() == 0
    assert (read(bulk).state, count(origin="rerun")) == ("stopped", 2)
    continue_bulk(bulk.pk, actor="bob")
    assert work() == 3
    assert (read(bulk).done, count(origin="rerun")) == (5, 5)
    assert len(set(Run.objects.filter(origin="rerun").values_list("rerun_of"))) == 5


def test_stop_and_continue_in_the_wrong_state(store: Store, waiting: Any) -> None:
    """The second of two equal requests is refused, as is one about what is not stored."""
    bulk = start_bulk("cancel", {"workflow": "waiting"}, actor="ann")
    with pytest.raises(BulkRefused, match="continue needs one that is stopped"):
        continue_bulk(bulk.pk, actor="ann")
    stop_bulk(bulk.pk, actor="ann")
    with pytest.raises(BulkRefused, match="is stopped, stop needs one that is running"):
        stop_bulk(bulk.pk, actor="ann")
    with pytest.raises(BulkNotFound):
        stop_bulk(bulk.pk + 1, actor="ann")


def test_a_stop_undoes_the_row_that_is_just_changed(
    store: Store, waiting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was stopped in the middle of a row takes it back; continued, each row is done once."""
    for _ in range(3):
        waiting.start()
    bulk = start_bulk("rerun", {"workflow": "waiting"}, actor="ann")
    action = bulk_actions.ACTIONS["rerun"]
    calls = []

    def stop_meanwhile(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        made = action.call(*args, **kwargs)
        if len(calls) == 2:
            # As another process would have done just before the row's transaction ends.
            BulkOperation.objects.filter(pk=bulk.pk).update(state="stopped", token=bulk.token + 9)
        return made

    patched = {**bulk_actions.ACTIONS, "rerun": replace_call(action, stop_meanwhile)}
    monkeypatch.setattr("durable_django.engine.bulk_actions.ACTIONS", patched)
    work()
    BulkOperation.objects.filter(pk=bulk.pk).update(state="running", token=77, lease_until=None)
    assert (read(bulk).done, count(origin="rerun")) == (1, 1)
    assert work() == 2
    assert (read(bulk).done, count(origin="rerun")) == (3, 3)


def replace_call(action: Any, call: Any) -> Any:
    return bulk_actions.BulkAction(
        title=action.title, permission=action.permission, model=action.model, fits=action.fits, call=call
    )


def test_many_workers_do_each_row_once(store: Store, waiting: Any) -> None:
    """Of several who work at once one has the operation."""
    for _ in range(6):
        waiting.start()
    bulk = start_bulk("rerun", {"workflow": "waiting"}, actor="ann")
    seen = run_together([lambda: work_bulk(store.alias, is_over=lambda: False)] * 4)
    assert sorted(seen) == [0, 0, 0, 6]
    assert (read(bulk).done, count(origin="rerun")) == (6, 6)


def test_the_operation_of_a_dead_worker_goes_on(store: Store, waiting: Any) -> None:
    """It is left to its worker until the lease has ended, then somebody goes on behind the cursor."""
    for _ in range(3):
        waiting.start()
    bulk = start_bulk("rerun", {"workflow": "waiting"}, actor="ann")
    work_bulk(store.alias, is_over=rows_only(1))
    rows = BulkOperation.objects.filter(pk=bulk.pk)
    rows.update(owner="dead:1", lease_until=timezone.now() + timedelta(hours=1))
    assert work() == 0
    rows.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert work() == 2
    assert (read(bulk).state, read(bulk).done, count(origin="rerun")) == ("finished", 3, 3)


def test_what_no_longer_fits_is_left_alone(store: Store, waiting: Any) -> None:
    """A run that changed since it was listed is looked at again under its lock."""
    _, second = waiting.start(), waiting.start()
    bulk = start_bulk("rerun", {"workflow": "waiting", "status": ["waiting"]}, actor="ann")
    asked: list[int] = []

    def is_over() -> bool:
        asked.append(1)
        if len(asked) == 3:  # before the second row, when both are listed
            operations.cancel_run(second.id, actor="bob")
        return False

    work_bulk(store.alias, is_over=is_over)
    assert (read(bulk).done, read(bulk).skipped, count(origin="rerun")) == (1, 1, 1)


def test_a_row_that_fails_does_not_hold_up_the_others(
    store: Store, waiting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error is counted and logged with its row, whose change is undone."""
    runs = [waiting.start() for _ in range(3)]
    bulk = start_bulk("cancel", {"workflow": "waiting"}, actor="ann")
    action = bulk_actions.ACTIONS["cancel"]

    def fail_once(key: Any, **kwargs: Any) -> Any:
        made = action.call(key, **kwargs)
        if str(key) == runs[1].id:
            raise ZeroDivisionError("a bug")
        return made

    patched = {**bulk_actions.ACTIONS, "cancel": replace_call(action, fail_once)}
    monkeypatch.setattr("durable_django.engine.bulk_actions.ACTIONS", patched)
    work()
    assert [run.status for run in runs] == ["cancelled", "waiting", "cancelled"]
    assert (read(bulk).done, read(bulk).failed, read(bulk).state) == (2, 1, "finished")
    entry = AuditEntry.objects.get(bulk_id=bulk.pk, run_id=runs[1].id)
    assert entry.result == "failed: ZeroDivisionError: a bug"


def test_retry_and_delete(store: Store, failing: Any) -> None:
    """Retry queues what failed, delete removes what ended; both by a list of ids as well."""
    runs = [failing.start() for _ in range(3)]
    start_bulk("retry", {"ids": [run.id for run in runs[:2]]}, actor="ann")
    work()
    assert AuditEntry.objects.filter(action="retry").count() == 2
    drain()
    start_bulk("delete", {"status": ["failed"], "workflow": "failing"}, actor="ann")
    work()
    assert count() == 0


def test_waits_are_resolved_with_a_value(store: Store, waiting: Any) -> None:
    """All open waits for an event end as if it had come; waits for others stay."""

    @workflow(id="other")
    def other(ctx: Any) -> Any:
        return ctx.step.wait_for_event("w", event="o/go", timeout="1 day")

    runs, stays = [waiting.start() for _ in range(3)], other.start()
    bulk = start_bulk("resolve", {"event": "w/go"}, actor="ann", arguments={"value": {"n": 7}})
    work()
    drain()
    assert (read(bulk).state, read(bulk).done) == ("finished", 3)
    assert [run.result(timeout=60) for run in runs] == [{"n": 7}] * 3
    assert stays.status == "waiting"
    assert AuditEntry.objects.filter(bulk_id=bulk.pk, action="resolve").count() == 3


def test_what_is_refused_is_left_alone_and_logged(
    store: Store, waiting: Any, configure: Callable[..., None]
) -> None:
    """A row that the operation refuses stays as it is, with the reason in the log; the others go on."""
    runs = [waiting.start() for _ in range(2)]
    configure(EVENT_BYTES=100)
    bulk = start_bulk("resolve", {"event": "w/go"}, actor="ann", arguments={"value": {"text": "x" * 200}})
    work()
    assert (read(bulk).state, read(bulk).done, read(bulk).skipped) == ("finished", 0, 2)
    assert {run.status for run in runs} == {"waiting"}
    told = AuditEntry.objects.filter(bulk_id=bulk.pk, action="resolve").values_list("result", flat=True)
    assert len(told) == 2
    assert all(" refused: " in text for text in told)


def test_waits_are_timed_out(store: Store, waiting: Any) -> None:
    """Waits that a filter chooses end as if their time were up."""
    runs = [waiting.start() for _ in range(2)]
    bulk = start_bulk("time_out", {"workflow": "waiting", "step": "w"}, actor="ann")
    work()
    drain()
    assert read(bulk).done == 2
    assert [run.result(timeout=60) for run in runs] == [None, None]


@pytest.mark.parametrize("arguments", [None, {}, {"value": 1, "more": 2}])
def test_resolve_needs_a_value(store: Store, arguments: Any) -> None:
    """A value is required, and null is one."""
    with pytest.raises(BulkInvalid, match="resolve needs value"):
        start_bulk("resolve", {"event": "w/go"}, actor="ann", arguments=arguments)
    start_bulk("resolve", {"event": "w/go"}, actor="ann", arguments={"value": None})


def test_an_operation_that_cannot_be_read_is_stopped(store: Store) -> None:
    """A row of a newer version's action does not come back with each lease."""
    bulk = BulkOperation.objects.create(action="teleport", filter={"workflow": "x"}, actor="ann")
    assert work() == 0
    assert read(bulk).state == "stopped"


def test_a_start_costs_the_same_for_any_number_of_rows(store: Store, waiting: Any) -> None:
    """Starting stores a row and a row of the log, whatever matches."""

    def cost() -> int:
        with CaptureQueriesContext(connections[store.alias]) as asked:
            start_bulk("cancel", {"workflow": "waiting"}, actor="ann")
        return len(asked)

    none = cost()
    for _ in range(20):
        waiting.start()
    assert cost() == none <= 6


def test_preview_counts_and_samples(store: Store, waiting: Any, failing: Any) -> None:
    """A preview tells how many runs the action would be done to, and shows the first."""
    runs = [waiting.start() for _ in range(3)]
    failing.start()
    seen = preview_bulk("cancel", {"since": "2020-01-01T00:00:00Z"}, samples=2)
    assert (seen.matched, seen.exact) == (3, True)
    assert len({str(run.pk) for run in seen.samples} & {run.id for run in runs}) == 2
    assert preview_bulk("retry", {"workflow": "waiting"}).matched == 0
    assert not BulkOperation.objects.exists()
