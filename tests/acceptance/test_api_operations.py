"""Operators over HTTP: waits, wake, supply, rerun from a step, pause, cancellations, resend, dry run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from durable_django import send_event, workflow
from durable_django.engine.keys import create_key
from durable_django.models import Attempt, AuditEntry, Event, Run, Step, Wait, WorkflowState
from durable_django.testing import advance, drain, reset_clock
from tests.plugins.store import Store
from tests.quiet import QUIET

ABSENT = "01890000-0000-7000-8000-000000000000"


class Api:
    """Calls ``/v1/`` with a key that may operate, or with another."""

    def __init__(self) -> None:
        scopes = ["read", "operate"]
        self.key = create_key("ops", actor="test", scopes=scopes).text
        self.reader = create_key("viewer", actor="test", scopes=["read"]).text

    def __call__(self, method: str, path: str, body: Any = None, *, key: str = "") -> Any:
        headers = {"authorization": f"Bearer {key or self.key}"}
        more = {} if method == "get" else {"data": body or {}, "content_type": "application/json"}
        return getattr(Client(enforce_csrf_checks=True), method)(
            f"/durable/v1/{path}", headers=headers, **more
        )

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self("post", path, body)
        assert answer.status_code == status, answer.content
        found = answer.json()
        return found["data"] if status < 300 else found["code"]

    def read(self, path: str) -> Any:
        answer = self("get", path)
        assert answer.status_code == 200, answer.content
        return answer.json()["data"]


@pytest.fixture
def api(store: Store) -> Any:
    yield Api()
    reset_clock()


@pytest.fixture
def flow(store: Store) -> Any:
    """A workflow whose event says what it does in the middle."""

    @workflow(id="shop/flow", trigger="app/flow", backoff="1d")
    def flow(ctx: Any) -> Any:
        one = ctx.step.run("one", lambda n: n, ctx.event.data.get("n", 1))
        if ctx.event.data.get("nap"):
            ctx.step.sleep("nap", "1d")
        if ctx.event.data.get("ask"):
            event = ctx.step.wait_for_event("ask", event="app/answer", timeout="1d")
            return event and dict(event.data)
        if ctx.event.data.get("fail"):
            return ctx.step.run("fail", lambda: 1 // 0)
        return one

    return flow


def test_waits_are_listed_and_resolved(api: Api, flow: Any) -> None:
    """A wait is found by its workflow, run or event, shown by itself, and ended with a value, once."""
    run, other = flow.start({"ask": True}), flow.start({"ask": True})
    [first, second] = api.read("waits?workflow=shop/flow&event=app/answer&kind=event")
    assert [first["run_id"], second["run_id"]] == [other.id, run.id]
    assert api.read(f"waits?run_id={run.id}") == [second]
    assert (second["step"], second["status"], second["workflow"]) == ("ask", "open", "shop/flow")
    page = api("get", "waits?limit=1").json()
    assert (page["data"], page["next"]) == ([first], str(first["id"]))
    assert api("get", f"waits?cursor={page['next']}").json()["data"] == [second]
    path = f"waits/{second['id']}/resolve"
    assert api.post(path, {"value": {"yes": 1}, "reason": "by phone"})["status"] == "resolved"
    assert run.result(0) == {"yes": 1}
    assert api.post(path, {"value": {}}, 409) == "wait_refused"
    assert api.read(f"waits?run_id={run.id}") == []
    assert api.read(f"waits?run_id={run.id}&status=resolved") == [api.read(f"waits/{second['id']}")]
    steps = {step["id"]: step["supplied_by"] for step in api.read(f"runs/{run.id}")["steps"]}
    assert steps == {"one": None, "ask": "api:ops"}
    assert AuditEntry.objects.get(action="resolve").reason == "by phone"


def test_waits_are_timed_out_and_extended(api: Api, flow: Any) -> None:
    """The time of a wait ends now, or at another instant; an overdue one is listed as such."""
    run, other = flow.start({"ask": True}), flow.start({"ask": True})
    wait, second = Wait.objects.get(run_id=run.id), Wait.objects.get(run_id=other.id)
    until = (timezone.now() + timedelta(days=3)).isoformat()
    assert api.post(f"waits/{second.pk}/extend", {"until": until})["until"][:19] == until[:19]
    api.post(f"waits/{wait.pk}/timeout")
    assert (run.result(0), other.status) == (None, "waiting")
    assert api.post(f"waits/{wait.pk}/timeout", {}, 409) == "wait_refused"
    assert api.read("waits?overdue=1") == []
    Wait.objects.filter(id=second.pk).update(expires_at="2020-01-01T00:00:00Z")
    assert [each["id"] for each in api.read("waits?overdue=1")] == [second.pk]
    assert [each["id"] for each in api.read("waits?ends_before=2021-01-01T00:00:00Z")] == [second.pk]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("resolve", {}),
        ("resolve", {"value": 5}),
        ("resolve", {"value": {}, "reazon": "typo"}),
        ("resolve", {"value": {}, "reason": 5}),
        ("extend", {}),
        ("extend", {"until": "soon"}),
        ("extend", {"until": "2020-01-01T00:00:00Z"}),
        ("extend", {"until": "2099-01-01T00:00:00"}),
        ("extend", {"until": True}),
    ],
)
def test_bad_requests_about_waits(api: Api, flow: Any, path: str, body: Any) -> None:
    """A missing, misspelt or unusable field is 400 with its name, and nothing is done."""
    run = flow.start({"ask": True})
    wait = Wait.objects.get(run_id=run.id)
    answer = api("post", f"waits/{wait.pk}/{path}", body)
    assert answer.status_code == 400, answer.content
    assert run.status == "waiting"
    assert not AuditEntry.objects.exclude(action="create key").exists()


def test_rerun_with_data_and_from_a_step(api: Api, flow: Any) -> None:
    """The new run has the edited data, or begins at the step with the edited input, and says so."""
    run = flow.start({"n": 1})
    made = api.post(f"runs/{run.id}/rerun", {"data": {"n": 5}, "reason": "again"}, 201)
    assert (made["rerun_of"], api.read(f"runs/{made['id']}")["output"]) == (run.id, 5)
    body = {"fromStep": {"stepId": "one", "input": [7]}}
    made = api.post(f"runs/{run.id}/rerun", body, 201)
    assert (made["rerun_from"], api.read(f"runs/{made['id']}")["output"]) == ("one", 7)
    made = api.post(f"runs/{run.id}/rerun", {}, 201)
    assert (made["rerun_from"], api.read(f"runs/{made['id']}")["output"]) == (None, 1)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"data": 5}, 400, "event_invalid"),
        ({"fromStep": "one"}, 400, "request_invalid"),
        ({"fromStep": {"id": "one"}}, 400, "request_invalid"),
        ({"fromStep": {"stepId": ""}}, 400, "request_invalid"),
        ({"fromStep": {"stepId": "one", "index": "0"}}, 400, "request_invalid"),
        ({"fromStep": {"stepId": "two"}}, 404, "step_not_found"),
        ({"fromStep": {"stepId": "one", "input": 5}}, 400, "step_input_invalid"),
    ],
)
def test_bad_reruns(api: Api, flow: Any, body: Any, status: int, code: str) -> None:
    """What cannot be rerun so starts nothing."""
    run = flow.start()
    assert api.post(f"runs/{run.id}/rerun", body, status) == code
    assert Run.objects.count() == 1


def test_rerun_and_the_key(api: Api, flow: Any) -> None:
    """The new run takes another key; ``unlessHeld`` is a conflict while a run that has not ended has it."""
    run = flow.start({"nap": True}, key="k")
    drain()
    assert api.post(f"runs/{run.id}/rerun", {"unlessHeld": True}, 409) == "key_in_use_refused"
    assert api.post(f"runs/{run.id}/rerun", {"unlessHeld": True, "key": "other"}, 201)["key"] == "other"
    assert api.post(f"runs/{run.id}/rerun", {"key": ""}, 201)["key"] is None
    assert api.post(f"runs/{run.id}/rerun", {"key": 7}, 400) == "request_invalid"


def test_wake_and_supply(api: Api, flow: Any) -> None:
    """A sleeping run is woken, a failing step gets its result; what does not fit is 409 or 404."""
    asleep, failing = flow.start({"nap": True}), flow.start({"fail": True})
    assert api.post(f"runs/{asleep.id}/wake")["status"] == "completed"
    assert api.post(f"runs/{asleep.id}/wake", {}, 409) == "operation_refused"
    assert api.post(f"runs/{ABSENT}/wake", {}, 404) == "run_not_found"
    path = f"runs/{failing.id}/supply"
    assert api.post(path, {"stepId": "fail"}, 400) == "request_invalid"
    assert api.post(path, {"stepId": "nope", "value": 1}, 404) == "step_not_found"
    assert api.post(path, {"stepId": "one", "value": 1}, 409) == "step_refused"
    api.post(path, {"stepId": "fail", "value": [1]})
    assert failing.result(0) == [1]


def test_retry_with_few_attempts(api: Api, flow: Any) -> None:
    """A retry may be limited to some of the declared attempts; other numbers are bad requests."""
    run = flow.start({"fail": True})
    drain()
    for _ in range(5):
        advance("1d")
    for attempts, code in ((6, "invalid_attempts"), (0, "invalid_attempts"), ("3", "request_invalid")):
        assert api.post(f"runs/{run.id}/retry", {"attempts": attempts}, 400) == code
    assert Attempt.objects.count() == 5
    api.post(f"runs/{run.id}/retry", {"attempts": 1})
    drain()
    assert (run.status, Attempt.objects.count()) == ("failed", 6)
    assert api.post(f"runs/{run.id}/retry", {"attemps": 1}, 400) == "request_invalid"


def test_pause_and_resume(api: Api, flow: Any) -> None:
    """A paused workflow says so and holds its runs until it is resumed; ids may have slashes."""
    told = api.post("workflows/shop/flow/pause", {"running": "stop", "reason": "deploy"})["paused"]
    assert (told["by"], told["running"], told["reason"]) == ("api:ops", "stop", "deploy")
    assert api.read("workflows")[0]["paused"]["by"] == "api:ops"
    run = flow.start()
    shown = api.read(f"runs/{run.id}")
    assert (shown["status"], shown["why"]["code"]) == ("paused", "paused")
    assert len(api.read("runs?status=paused")) == 1
    assert api.post("workflows/shop/flow/pause", {"running": "stop"}, 409) == "workflow_refused"
    assert api.post("workflows/shop/flow/pause", {"running": "cancel"})["paused"]["running"] == "stop"
    assert (
        api.post("workflows/shop/flow/pause", {"running": "stop", "new": "skip"})["paused"]["new"] == "skip"
    )
    assert api.post("workflows/shop/flow/pause", {"new": "drop"}, 400) == "request_invalid"
    api.post("workflows/shop/flow/pause", {"running": "stop", "new": "queue"})
    assert api.post("workflows/shop/flow/pause", {"running": "later"}, 400) == "request_invalid"
    assert api.post("workflows/shop/flw/pause", {}, 404) == "workflow_unknown"
    assert api.post("workflows/shop/flow/resume")["paused"] is None
    drain()
    assert run.result(0) == 1
    assert api.post("workflows/shop/flow/resume", {}, 409) == "workflow_refused"
    assert WorkflowState.objects.get().paused_at is None


def test_an_invocation_is_in_the_operator_log(api: Api, flow: Any) -> None:
    """Who starts a workflow through the API is written down."""
    id = api.post("workflows/shop/flow/invoke", {"data": {"n": 3}, "reason": "try"}, 201)["run_id"]
    entry = AuditEntry.objects.get(action="invoke")
    assert (str(entry.run_id), entry.actor, entry.reason) == (id, "api:ops", "try")


def test_cancel_with_children(api: Api, store: Store) -> None:
    """``children`` cancels what the run has started as well."""

    @workflow(id="child")
    def child(ctx: Any) -> None:
        ctx.step.sleep("nap", "1d")

    @workflow(id="parent")
    def parent(ctx: Any) -> None:
        ctx.step.invoke("call", function=child)

    run = parent.start()
    assert api("delete", f"runs/{run.id}?children=true&reason=all").status_code == 200
    assert set(Run.objects.values_list("status", flat=True)) == {"cancelled"}


def test_cancellations_by_time_and_condition(api: Api, flow: Any, configure: Any) -> None:
    """Of the live runs of a workflow those are cancelled that the range and the condition choose."""
    for n in range(4):
        flow.start({"nap": True, "n": n})
    done = flow.start({"n": 2})
    flow.start({"nap": True, "n": "text"})
    before = timezone.now().isoformat()
    body = {"workflow_id": "shop/flow", "if": "event.data.n >= 2", "started_before": before}
    dry = api.post("cancellations", {**body, "dry_run": True})
    assert (dry["examined"], dry["cancelled"], dry["undecided"]) == (5, 2, 1)
    assert not Run.objects.filter(status="cancelled").exists()
    late = flow.start({"nap": True, "n": 3})
    made = api.post("cancellations", {**body, "reason": "recall"})
    assert (made["cancelled"], made["undecided"], made["next"]) == (2, 1, None)
    assert (done.status, late.status) == ("completed", "waiting")
    assert Run.objects.filter(status="cancelled", reason="recall").count() == 2
    assert AuditEntry.objects.filter(action="cancel", actor="api:ops").count() == 2
    assert api.post("cancellations", body)["cancelled"] == 0


def test_cancellations_go_on_page_by_page(api: Api, flow: Any, monkeypatch: Any) -> None:
    """What one call leaves is where the next one begins; runs that came meanwhile stay."""
    monkeypatch.setattr("durable_django.engine.cancel_matching.EXAMINED", 2)
    for _ in range(5):
        flow.start({"nap": True})
    body: dict[str, Any] = {"workflow_id": "shop/flow"}
    counts = []
    while True:
        made = api.post("cancellations", body)
        counts.append(made["cancelled"])
        if made["next"] is None:
            break
        flow.start({"nap": True})
        body |= {"after": made["next"], "started_before": made["started_before"]}
    assert counts == [2, 2, 1]
    assert Run.objects.filter(status="waiting").count() == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "request_invalid"),
        ({"workflow_id": "x", "function_id": "y"}, "request_invalid"),
        ({"workflow_id": "x", "if": "event.data."}, "expression_invalid"),
        ({"workflow_id": "x", "started_before": "noon"}, "instant_invalid"),
        ({"workflow_id": "x", "after": "no id"}, "request_invalid"),
        ({"workflow_id": "x", "dry_run": "yes"}, "request_invalid"),
    ],
)
def test_bad_cancellations(api: Api, flow: Any, body: Any, code: str) -> None:
    """A request that cannot be understood cancels nothing."""
    run = flow.start({"nap": True})
    assert api.post("cancellations", body, 400) == code
    assert run.status == "waiting"


def test_resend_and_plan(api: Api, flow: Any) -> None:
    """A dry run tells what an event would start; a resent one starts it, as a new event."""
    plan = api.post("events/plan", {"name": "app/flow", "data": {"n": 1}})
    assert (plan["starts"], plan["ends"], Event.objects.count()) == (["shop/flow"], [], 0)
    asking = flow.start({"ask": True})
    plan = api.post("events/plan", {"name": "app/answer"})
    assert [each["run_id"] for each in plan["ends"]] == [asking.id]
    assert plan["refused"][0]["code"] == "no_workflow"
    assert api.post("events/plan", {"name": ""}, 400) == "event_invalid"
    event = send_event({"name": "app/flow", "data": {"n": 4}, "id": "once"})
    made = api.post(f"events/{event}/resend", {}, 201)["event_id"]
    edited = api.post(f"events/{event}/resend", {"data": {"n": 6}}, 201)["event_id"]
    outputs = {str(run.event_id): run.result.output for run in Run.objects.filter(status="completed")}
    assert outputs == {event: "4", made: "4", edited: "6"}
    own = Run.objects.get(id=asking.id).event_id
    assert api.post(f"events/{own}/resend", {}, 409) == "event_refused"
    assert api.post(f"events/{ABSENT}/resend", {}, 404) == "not_found"


def test_a_key_that_only_reads_operates_nothing(api: Api, flow: Any, configure: Any) -> None:
    """Every operation asks for its scope, and refuses before it looks."""
    run = flow.start({"ask": True})
    wait, step = Wait.objects.get(run_id=run.id), Step.objects.get(name="one")
    configure(DISPATCHER=QUIET)
    for path in (
        f"waits/{wait.pk}/resolve",
        f"waits/{wait.pk}/timeout",
        f"waits/{wait.pk}/extend",
        f"runs/{run.id}/wake",
        f"runs/{run.id}/supply",
        f"runs/{run.id}/rerun",
        f"events/{Event.objects.get().id}/resend",
        "events/plan",
        "cancellations",
        "workflows/shop/flow/pause",
        "workflows/shop/flow/resume",
        "workflows/shop/flow/invoke",
    ):
        assert api("post", path, {"value": {}}, key=api.reader).status_code == 403, path
    assert api("get", "waits", key=api.reader).status_code == 200
    step.refresh_from_db()
    advance("1s")
    assert (run.status, step.supplied_by, Run.objects.count()) == ("waiting", "", 1)
