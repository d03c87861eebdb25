"""Why a run does not move: one cause after the other, from rows that are not stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_django.engine.diagnose import decide
from durable_django.engine.diagnose_facts import Facts
from durable_django.engine.scope import Scope
from durable_django.engine.words import name_state, name_step
from durable_django.models import Attempt, Run, Step, Wait, Worker, WorkflowState

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LIVE = Worker(name="h:1", kind="worker", queues="durable,mail", seen_at=NOW, started_at=NOW)
TICK = Worker(name="tick", kind="tick", seen_at=NOW, started_at=NOW)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def make_run(status: str = "waiting", waits_for: str = "", wake_in: float = 600, **fields: Any) -> Run:
    fields = {"workflow": "w", "queue": "durable", "created_at": at(-60), **fields}
    return Run(status=status, waits_for=waits_for, wake_at=at(wake_in), **fields)


def make_step(kind: str, status: str = "waiting", ready_in: float = 600, **fields: Any) -> Step:
    return Step(name="s", kind=kind, status=status, ready_at=at(ready_in), started_at=at(-60), **fields)


def make_wait(**fields: Any) -> Wait:
    return Wait(name="s", expires_at=at(600), **fields)


def facts(run: Run, **rows: Any) -> Facts:
    return Facts(run=run, now=NOW, **{"workers": [TICK, LIVE], **rows})


CASES: dict[str, tuple[Facts, str, str, bool]] = {
    "no worker ever": (
        facts(make_run("queued"), workers=[TICK]),
        "no_worker",
        "No live worker serves the queue “durable”.",
        True,
    ),
    "worker lost": (
        facts(make_run("queued"), workers=[TICK, Worker(name="h:1", queues="durable", seen_at=at(-120))]),
        "no_worker",
        "The last one was seen 2m ago.",
        True,
    ),
    "worker of another queue": (
        facts(make_run("queued", queue="slow")),
        "no_worker",
        "serves the queue “slow”",
        True,
    ),
    "full workers": (facts(make_run("queued")), "queued", "waits in the queue “durable”", False),
    "paused": (
        facts(
            make_run("paused"),
            pause=WorkflowState(id="w", paused_at=at(-60), paused_by="ann", pause_reason="deploy"),
        ),
        "paused",
        "“w” was paused by ann at 2026-05-01 11:59:00 UTC. The reason given: deploy",
        True,
    ),
    "queued in a paused workflow": (
        facts(
            make_run("queued"), workers=[], pause=WorkflowState(id="w", paused_at=at(-60), paused_by="ann")
        ),
        "paused",
        "was paused by ann",
        True,
    ),
    "missed by a resumption": (
        facts(make_run("paused", wake_in=20)),
        "queued",
        "not paused any more",
        False,
    ),
    "nobody ticks": (
        facts(make_run(waits_for="sleep", wake_in=-30), workers=[LIVE]),
        "no_tick",
        "looked at 30.0s ago, but nobody ticks. Nobody ever ticked.",
        True,
    ),
    "the tick died": (
        facts(make_run("running", wake_in=-30), workers=[Worker(name="tick", seen_at=at(-90))]),
        "no_tick",
        "The last tick was 1m 30s ago.",
        True,
    ),
    "executing": (facts(make_run("running", owner="h:1", wake_in=25)), "running", "“h:1” executes it", False),
    "dead worker": (
        facts(make_run("running", owner="h:9", wake_in=8)),
        "dead_worker",
        "“h:9” has not renewed its lease, which ends in 8.0s",
        False,
    ),
    "no code": (facts(make_run(waits_for="code")), "no_code", "the code of the workflow “w”", True),
    "delayed": (facts(make_run(waits_for="start")), "delayed", "It starts at", False),
    "sleep": (
        facts(make_run(waits_for="sleep"), steps=[make_step("sleep")]),
        "sleeping",
        "sleeps until",
        False,
    ),
    "event": (
        facts(
            make_run(waits_for="event"),
            steps=[make_step("event")],
            waits=[make_wait(event_name="a/b", match="data.id")],
        ),
        "event",
        "waits for the event “a/b” with the same data.id until",
        False,
    ),
    "condition": (
        facts(
            make_run(waits_for="event"),
            steps=[make_step("event")],
            waits=[make_wait(event_name="a/b", expression="async.data.n > 1")],
        ),
        "event",
        "the event “a/b” where async.data.n > 1 until",
        False,
    ),
    "signal": (
        facts(make_run(waits_for="signal"), steps=[make_step("signal")], waits=[make_wait(signal="go")]),
        "signal",
        "waits for the signal “go” until",
        False,
    ),
    "child": (
        facts(
            make_run(waits_for="child"),
            steps=[make_step("invoke")],
            children=[Run(workflow="c", status="running", parent_step="s")],
        ),
        "child",
        "waits for a run of “c” (running) until",
        False,
    ),
    "retry": (
        facts(
            make_run(waits_for="retry"),
            steps=[make_step("run", "retrying", 60, attempt=2)],
            error=Attempt(error_type="KeyError"),
        ),
        "retrying",
        "“s” failed 2 times, last with KeyError, and is tried again at",
        False,
    ),
    "retry between steps": (
        facts(make_run(waits_for="retry", attempt=1), error=Attempt(error_type="KeyError")),
        "retrying",
        "“The code between steps” failed 1 time with KeyError",
        False,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_cause_has_its_code_and_sentence(case: str) -> None:
    """The first cause that holds is told, and whether time alone will help."""
    given, code, sentence, stuck = CASES[case]
    found = decide(given)
    assert (found.code, found.stuck) == (code, stuck)
    assert sentence in found.sentence
    assert found.remedy or code in ("running", "delayed", "sleeping")


def test_the_earliest_of_several_branches_is_told() -> None:
    """A sleep that is over is none of them."""
    steps = [
        make_step("sleep", ready_in=900),
        make_step("sleep", ready_in=300),
        make_step("sleep", ready_in=-5),
    ]
    found = decide(facts(make_run(waits_for="sleep"), steps=steps))
    assert found.until == at(300)
    assert "1 other branch waits too." in found.sentence


def test_the_child_is_linked() -> None:
    """The run that is waited for comes with the diagnosis."""
    child = Run(workflow="c", status="running", parent_step="s")
    found = decide(facts(make_run(waits_for="child"), steps=[make_step("invoke")], children=[child]))
    assert found.run_id == child.id


@pytest.mark.parametrize(
    ("status", "waits_for", "word"),
    [
        ("waiting", "sleep", "sleeping"),
        ("waiting", "retry", "retrying"),
        ("waiting", "code", "stuck"),
        ("waiting", "start", "scheduled"),
        ("waiting", "event", "waiting"),
        ("queued", "", "queued"),
        ("failed", "", "failed"),
    ],
)
def test_the_word_for_a_state(status: str, waits_for: str, word: str) -> None:
    """A waiting run has a finer word where there is one."""
    assert name_state(make_run(status, waits_for)).code == word


def test_the_name_of_a_step_tells_branch_and_count() -> None:
    """Both from one, and neither without need."""
    inner = Scope().split(2)[1].split(1)[0]
    assert name_step("s", 0) == "s"
    assert name_step("s", 2) == "s (3)"
    assert name_step("s", inner.index(0)) == "s [2.1]"
    assert name_step("s", inner.index(4)) == "s (5) [2.1]"
