"""§4: the code changes while runs live. Each run is written by one version and goes on under the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from durable_django import StepError, send_event
from durable_django.exceptions import InvalidDefinition, RunFailed
from durable_django.models import Run, Step
from durable_django.testing import advance, drain
from tests.commands import run_durable
from tests.conformance.versions import DONE, read_warning, take, walk

Deploy = Callable[..., Any]


# --- the rows of the table ------------------------------------------------------------------------


def test_a_new_step_runs_when_it_is_reached(deploy: Deploy) -> None:
    """New step → runs when reached, and what was done stays done."""
    handle = deploy(walk("c", before=("a",))).start()
    deploy(walk("new", "c", before=("a",)))
    advance("61m")
    assert handle.result(0) == ["a", "new", "c"]
    assert DONE == ["a", "new", "c"]
    assert read_warning() == ""


def test_a_new_step_before_all_others_runs_too(deploy: Deploy) -> None:
    """A new step in front runs when the code comes by; from the next slice on the order is remarked on."""
    handle = deploy(walk("c", before=("a",))).start()
    again = walk("c", before=("new", "a"))

    def longer(ctx: Any) -> Any:
        values = yield from again(ctx)
        yield ctx.step.sleep("second nap", "1h")
        return values

    deploy(longer)
    advance("61m")
    assert DONE == ["a", "new", "c"]
    assert read_warning() == ""
    advance("61m")
    assert handle.result(0) == ["new", "a", "c"]
    assert DONE == ["a", "new", "c"]
    assert "'new' before step 'a'" in read_warning()


def test_the_memo_of_a_removed_step_is_ignored(deploy: Deploy) -> None:
    """Removed → memo ignored; its row stays for those who look."""
    handle = deploy(walk("c", before=("a", "b"))).start()
    deploy(walk("c", before=("a",)))
    advance("61m")
    assert handle.result(0) == ["a", "c"]
    assert set(Step.objects.values_list("name", flat=True)) == {"a", "b", "nap", "c"}
    assert read_warning() == ""


def test_a_renamed_step_runs_again(deploy: Deploy) -> None:
    """Renamed → runs again, under its new name."""
    handle = deploy(walk("c", before=("a",))).start()
    deploy(walk("c", before=("a, renamed",)))
    advance("61m")
    assert handle.result(0) == ["a, renamed", "c"]
    assert DONE == ["a", "a, renamed", "c"]


def test_a_changed_body_does_not_change_what_is_done(deploy: Deploy) -> None:
    """Changed body → old memo if done, new body if not; a sleep keeps the time that it was begun with."""

    def version(text: str, nap: str) -> Any:
        def body(ctx: Any) -> Any:
            first = yield take(ctx, "first", text)
            yield ctx.step.sleep("nap", nap)
            return [first, (yield take(ctx, "second", text))]

        return body

    handle = deploy(version("old", "1h")).start()
    deploy(version("new", "10 days"))
    advance("61m")
    assert handle.result(0) == ["old", "new"]


def test_a_failed_step_stays_failed(deploy: Deploy) -> None:
    """A memoized failure is a memo like any other: mended code does not run it again by itself."""

    def version(work: Any) -> Any:
        def body(ctx: Any) -> Any:
            try:
                told = yield ctx.step.run("risky", work, retries=0)
            except StepError as error:
                told = error.name
            yield ctx.step.sleep("nap", "1h")
            return told

        return body

    handle = deploy(version(lambda: 1 / 0)).start()
    deploy(version(lambda: "mended"))
    advance("61m")
    assert handle.result(0) == "ZeroDivisionError"


def test_a_step_between_attempts_runs_the_mended_code(deploy: Deploy) -> None:
    """A step that is to be tried again is tried with the current code, within its budget."""

    def version(work: Any) -> Any:
        return lambda ctx: ctx.step.run("risky", work, retries=1, backoff="1h")

    def body_of(call: Any) -> Any:
        def body(ctx: Any) -> Any:
            return (yield call(ctx))

        return body

    handle = deploy(body_of(version(lambda: 1 / 0))).start()
    deploy(body_of(version(lambda: "mended")))
    advance("61m")
    assert handle.result(0) == "mended"


def test_reordered_steps_are_found_by_id_and_a_warning_is_kept(deploy: Deploy) -> None:
    """Reordered → memos found by id; the run keeps a warning, which ``durable show`` prints."""
    handle = deploy(walk("c", before=("a", "b"))).start()
    deploy(walk("c", before=("b", "a")))
    advance("61m")
    assert handle.result(0) == ["b", "a", "c"]
    assert DONE == ["a", "b", "c"]
    assert read_warning() == (
        "The code takes step 'b' before step 'a' now; this run took them the other way round."
    )
    assert read_warning() in run_durable("show", handle.id).out
    assert run_durable("show", handle.id, "--json").data["warning"] == read_warning()


def test_the_warning_is_there_while_the_run_waits(deploy: Deploy) -> None:
    """The warning is stored with the next parking, and a later slice in the old order leaves it."""

    def version(first: str, second: str) -> Any:
        def body(ctx: Any) -> Any:
            yield take(ctx, first)
            yield take(ctx, second)
            yield ctx.step.sleep("nap", "1h")
            yield ctx.step.wait_for_event("w", event="app/answer", timeout="1d")

        return body

    deploy(version("a", "b")).start()
    deploy(version("b", "a"))
    advance("61m")
    assert Run.objects.get().status == "waiting"
    assert "'b' before step 'a'" in read_warning()
    deploy(version("a", "b"))
    send_event("app/answer")
    drain()
    assert Run.objects.get().status == "completed"
    assert "'b' before step 'a'" in read_warning()


def test_a_warning_of_the_longest_ids_fits(deploy: Deploy) -> None:
    """Ids of 255 characters of any script do not make the warning too long for its column."""
    names = ("😀'\\" * 85, '漢\n"' * 85)
    deploy(walk("c", before=names)).start()
    deploy(walk("c", before=names[::-1]))
    advance("61m")
    assert Run.objects.get().status == "completed"
    assert 0 < len(read_warning()) <= 255


@pytest.mark.parametrize(
    ("found", "stored"), [("sleep", "run"), ("event", "sleep"), ("send", "run"), ("run", "event")]
)
def test_another_tool_under_the_same_id_is_an_error_that_names_both(
    deploy: Deploy, found: str, stored: str
) -> None:
    """Same id, other tool on replay → coded error naming both; nothing is retried."""

    def version(tool: str) -> Any:
        def body(ctx: Any) -> Any:
            calls: dict[str, Any] = {
                "run": lambda: ctx.step.run("x", int),
                "sleep": lambda: ctx.step.sleep("x", "1h"),
                "event": lambda: ctx.step.wait_for_event("x", event="app/answer", timeout="1h"),
                "send": lambda: ctx.step.send_event("x", {"name": "app/x"}),
            }
            yield calls[tool]()
            yield ctx.step.sleep("nap", "1h")

        return body

    handle = deploy(version(stored)).start()
    deploy(version(found))
    advance("61m")
    with pytest.raises(RunFailed) as caught:
        handle.result(0)
    told = caught.value.details["told"]
    assert told["code"] == "step_kind_changed"
    assert f"is a {found} now" in told["message"]
    assert f"stored it as a {stored}" in told["message"]
    assert Run.objects.get().attempts.count() == 0


# --- gone and back --------------------------------------------------------------------------------


def test_a_run_waits_for_code_that_is_gone(deploy: Deploy) -> None:
    """Workflow gone → the run waits, shown as "no code for it", and goes on when the code is back."""
    handle = deploy(walk("c", before=("a",))).start()
    deploy()
    for _ in range(10):
        advance("61m")
    run = Run.objects.get()
    assert (run.status, run.waits_for, run.crash_count) == ("waiting", "code", 0)
    assert "waits for code: no workflow is registered as 'flow'" in run_durable("show", handle.id).out
    deploy(walk("c", before=("a",)))
    advance("61s")
    assert handle.result(0) == ["a", "c"]
    assert DONE == ["a", "c"]


def test_an_event_meanwhile_is_not_lost(deploy: Deploy) -> None:
    """An event that a run without code waits for ends the wait; its code finds it when it is back."""

    def body(ctx: Any) -> Any:
        found = yield ctx.step.wait_for_event("w", event="app/answer", timeout="1 day")
        return found and found.data["n"]

    handle = deploy(body).start()
    deploy()
    send_event("app/answer", {"n": 7})
    drain()
    assert Run.objects.get().waits_for == "code"
    deploy(body)
    advance("61s")
    assert handle.result(0) == 7


def test_a_run_without_code_can_be_cancelled(deploy: Deploy) -> None:
    """An operator can end what will never get its code back."""
    from durable_django.engine.operations import cancel_run

    handle = deploy(walk("c")).start()
    deploy()
    advance("61m")
    cancel_run(handle.id, actor="test")
    assert handle.status == "cancelled"


# --- versions -------------------------------------------------------------------------------------


def test_the_version_is_recorded_with_each_slice(deploy: Deploy) -> None:
    """Runs use current code: ``ctx.version`` is that of the slice, and the run tells the last one."""

    def body(ctx: Any) -> Any:
        seen = []
        for _ in range(3):
            seen.append((yield ctx.step.run("version", lambda: ctx.version)))
            yield ctx.step.sleep("nap", "1h")
        return seen

    recorded = []
    handle = deploy(body, version="1").start()
    recorded.append(Run.objects.get().version)
    for version in ("2", "", "3"):
        deploy(body, version=version)
        advance("61m")
        recorded.append(Run.objects.get().version)
    assert handle.result(0) == ["1", "2", ""]
    assert recorded == ["1", "2", "", "3"]
    assert "version   3" in run_durable("show", handle.id).out


@pytest.mark.parametrize("end", ["failed", "retry"])
def test_the_version_is_recorded_with_failures(deploy: Deploy, end: str) -> None:
    """The version that failed a run, or left it to be retried, is on the run too."""

    def bad(ctx: Any) -> Any:
        yield ctx.step.sleep("nap", "1h")
        raise ValueError("new bug")

    deploy(walk("a"), version="good").start()
    deploy(bad, version="bad", retries=0 if end == "failed" else 1, backoff="1h")
    advance("61m")
    run = Run.objects.get()
    assert (run.version, run.status) == ("bad", "failed" if end == "failed" else "waiting")


@pytest.mark.parametrize("version", ["x" * 64, "x" * 65, 7])
def test_a_version_is_short_text(deploy: Deploy, version: Any) -> None:
    """What a database could not hold is refused where it is written."""
    if version == "x" * 64:
        assert deploy(walk("a"), version=version).start().status == "waiting"
        assert Run.objects.get().version == version
        return
    with pytest.raises(InvalidDefinition, match="version"):
        deploy(walk("a"), version=version)
