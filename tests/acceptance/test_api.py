from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from durable_django import send_event, workflow
from durable_django.engine.keys import create_key, revoke_key, rotate_key
from durable_django.engine.verify_key import verify_key
from durable_django.models import AccessKey, AuditEntry, Event, Run, RunStatus
from durable_django.testing import drain
from tests.commands import run_durable
from tests.plugins.store import Store

ABSENT = "01890000-0000-7000-8000-000000000000"


class Api:
    """Calls ``/v1/`` with a key of all scopes, or with another."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        headers = {"authorization": f"Bearer {self.key if key is None else key}"}
        data = b"" if body is None else body
        more = {} if method == "get" else {"data": data, "content_type": "application/json"}
        return getattr(Client(enforce_csrf_checks=True), method)(
            f"/durable/v1/{path}", headers=headers, **more
        )

    def read(self, path: str) -> Any:
        answer = self("get", path)
        assert answer.status_code == 200, answer.content
        return answer.json()


@pytest.fixture
def api(store: Store) -> Api:
    return Api(create_key("operator", actor="test", scopes=["ingest", "read", "operate"]).text)


@pytest.fixture
def flows(store: Store) -> None:
    @workflow(id="adder", trigger="a/add")
    def adder(ctx: Any) -> Any:
        return ctx.step.run("sum", lambda: Decimal("1.50") + ctx.event.data["n"])

    @workflow(id="asker", trigger="a/ask")
    def asker(ctx: Any) -> Any:
        return ctx.step.wait_for_signal("answer", signal=ctx.event.data["signal"], timeout="1h")

    @workflow(id="failer", trigger="a/fail", retries=0)
    def failer(ctx: Any) -> Any:
        raise ValueError("no good, password=hunter2")


def test_events_are_listed_shown_and_lead_to_runs(api: Api, flows: None) -> None:
    """An event is found by its name, shown with masked data, and leads to its runs with their results."""
    id = send_event("a/add", {"n": 2, "password": "hunter2"})
    send_event("a/other", {})
    assert [event["id"] for event in api.read("events?name=a/add")["data"]] == [id]
    shown = api.read(f"events/{id}")["data"]
    assert (shown["name"], shown["data"]) == ("a/add", {"n": 2, "password": "[redacted]"})
    [run] = api.read(f"events/{id}/runs")["data"]
    assert (run["workflow"], run["status"], run["output"], run["error"]) == (
        "adder",
        "completed",
        "3.50",
        None,
    )


def test_run_with_steps(api: Api, flows: None) -> None:
    """A run is shown with its steps and their outputs."""
    send_event("a/add", {"n": 2})
    run = api.read(f"runs/{Run.objects.get().id}")["data"]
    [step] = run["steps"]
    assert (step["id"], step["kind"], step["status"], step["output"]) == ("sum", "run", "completed", "3.50")
    assert (run["status"], run["attempts"], run["waits"]) == ("completed", [], [])


def test_failed_run_tells_no_traceback(api: Api, flows: None) -> None:
    """The error of a run and its attempts have name and message, and neither traceback nor secrets."""
    send_event("a/fail")
    answer = api("get", f"runs/{Run.objects.get().id}")
    run = answer.json()["data"]
    assert run["error"]["name"] == "ValueError"
    assert len(run["attempts"]) == 1
    assert "Traceback" not in answer.content.decode()
    assert "hunter2" not in answer.content.decode()


def test_pages_have_each_run_once(api: Api, flows: None) -> None:
    """The cursor leads through all runs, the newest first, each once."""
    for n in range(7):
        send_event("a/add", {"n": n})
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = api.read(f"runs?limit=3&cursor={cursor}")
        seen += [run["id"] for run in page["data"]]
        cursor = page["next"]
    assert seen == sorted((str(run.id) for run in Run.objects.all()), reverse=True)
    assert len(seen) == 7


def test_filters_of_runs(api: Api, flows: None) -> None:
    """Runs are filtered by status, workflow, event and time of creation."""
    send_event("a/add", {"n": 1})
    send_event("a/fail")
    event = send_event("a/ask", {"signal": "s"})

    def count(query: str) -> int:
        return len(api.read(f"runs?{query}")["data"])

    assert count("status=failed") == 1
    assert count("status=failed&status=completed") == 2
    assert count("workflow=adder") == 1
    assert count(f"event_id={event}") == 1
    assert (count("since=2000-01-01T00:00:00Z"), count("until=2000-01-01T00:00:00Z")) == (3, 0)
    assert count("since=2000-01-01T00:00:00%2B01:00") == 3


def test_cancel(api: Api, flows: None) -> None:
    """DELETE cancels a run, under the key's name; an ended one is 409."""
    send_event("a/ask", {"signal": "s"})
    run = Run.objects.get()
    answer = api("delete", f"runs/{run.id}?reason=enough")
    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "cancelled")
    assert api("delete", f"runs/{run.id}").status_code == 409
    entry = AuditEntry.objects.get(action="cancel")
    assert (entry.actor, entry.reason, entry.run_id) == ("api:operator", "enough", run.id)


def test_retry_and_rerun(api: Api, flows: None) -> None:
    """A failed run goes on, a completed one does not; either can be run again as a new one."""
    send_event("a/fail")
    send_event("a/add", {"n": 1})
    failed, done = Run.objects.get(workflow="failer"), Run.objects.get(workflow="adder")
    assert api("post", f"runs/{failed.id}/retry").status_code == 200
    assert api("post", f"runs/{done.id}/retry").status_code == 409
    answer = api("post", f"runs/{done.id}/rerun", {"reason": "again"})
    assert answer.status_code == 201
    assert Run.objects.get(rerun_of=done.id).id.hex == answer.json()["data"]["id"].replace("-", "")
    assert api("post", f"runs/{done.id}/rerun", {"fromStep": {"stepId": "sum"}}).status_code == 201


def test_signals(api: Api, flows: None) -> None:
    """A signal ends the wait for it with its data; without one it is 404, and not kept."""
    send_event("a/ask", {"signal": "s"})
    run = Run.objects.get()
    answer = api("post", "signals", {"signal": "s", "data": {"ok": True}})
    assert answer.json() == {"data": {"run_id": str(run.id)}}
    drain()
    output = api.read(f"runs/{run.id}")["data"]["output"]
    assert output == {"signal": "s", "data": {"ok": True}}
    again = api("post", "signals", {"signal": "s"})
    assert (again.status_code, again.json()["code"]) == (404, "signal_not_awaited")
    assert api("post", "signals", {"data": 1}).status_code == 400


def test_workflows_and_invoke(api: Api, flows: None) -> None:
    """Workflows are listed and can be started, once a key."""
    listed = {each["id"]: each for each in api.read("workflows")["data"]}
    assert listed["adder"]["triggers"][0]["event"] == "a/add"
    first, second = (api("post", "workflows/adder/invoke", {"data": {"n": 1}, "key": "k"}) for _ in range(2))
    assert first.status_code == 201
    assert first.json() == second.json()
    assert Run.objects.get().status == RunStatus.COMPLETED
    assert api("post", "workflows/nothing/invoke", {}).status_code == 404


def test_health_needs_no_key(store: Store) -> None:
    """Health tells whether the store answers and somebody ticks, to anybody."""
    from durable_django.engine.tick import tick

    assert Client().get("/durable/v1/health").json() == {"status": "degraded", "store": "ok", "tick": "never"}
    tick(store.alias, period=0.0, force=True)
    assert Client().get("/durable/v1/health").json() == {"status": "ok", "store": "ok", "tick": "recent"}


PATHS = [
    ("get", "events", "read"),
    ("get", f"events/{ABSENT}", "read"),
    ("get", f"events/{ABSENT}/runs", "read"),
    ("get", "runs", "read"),
    ("get", f"runs/{ABSENT}", "read"),
    ("delete", f"runs/{ABSENT}", "operate"),
    ("post", f"runs/{ABSENT}/retry", "operate"),
    ("post", f"runs/{ABSENT}/rerun", "operate"),
    ("post", "signals", "operate"),
    ("get", "workflows", "read"),
    ("post", "workflows/x/invoke", "operate"),
]


@pytest.mark.parametrize(("method", "path", "scope"), PATHS, ids=lambda value: str(value))
def test_each_path_asks_for_its_scope(store: Store, method: str, path: str, scope: str) -> None:
    """Without a key 401, with a key of the other scopes 403, with the right one neither."""
    keys = {
        name: create_key(name, actor="test", scopes=[name]).text for name in ("ingest", "read", "operate")
    }
    api = Api("")
    nobody = api(method, path)
    assert (nobody.status_code, nobody["WWW-Authenticate"]) == (401, "Bearer")
    for name, text in keys.items():
        status = api(method, path, key=text).status_code
        assert (status == 403) is (name != scope), (name, status)
        assert status not in (401, 500)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("get", f"runs/{ABSENT}", None, 404),
        ("get", "runs/nonsense", None, 400),
        ("get", f"events/{ABSENT}", None, 404),
        ("get", "events/%00", None, 400),
        ("get", "runs?status=bogus", None, 400),
        ("get", "runs?workflow=%00", None, 400),
        ("get", "runs?limit=0", None, 400),
        ("get", "runs?limit=101", None, 400),
        ("get", "runs?limit=%D9%A3", None, 400),
        ("get", "runs?cursor=x", None, 400),
        ("get", "runs?since=yesterday", None, 400),
        ("get", "runs?since=2020-01-01", None, 400),
        ("get", "events?until=9999-12-31T23:59:59-23:00", None, 400),
        ("post", "signals", b"[]", 400),
        ("post", "signals", b"{", 400),
        ("post", "signals", b'{"signal": "\\u0000"}', 400),
        ("post", "signals", b'{"signal": {"$durable": "uuid"}}', 400),
        ("post", "workflows/%00/invoke", b"{}", 404),
        ("post", f"runs/{ABSENT}/retry", b'{"reason": 5}', 400),
        ("put", "runs", None, 405),
    ],
)
def test_bad_requests_are_explained(api: Api, method: str, path: str, body: Any, status: int) -> None:
    """What cannot be understood or found is 4xx in JSON with a code."""
    answer = api(method, path, body)
    assert answer.status_code == status, answer.content
    assert answer.json()["status"] == status
    assert answer.json()["code"]


def test_invoke_refuses_what_is_no_object(api: Api, flows: None) -> None:
    """The data of a run is an object."""
    assert api("post", "workflows/adder/invoke", {"data": [1]}).status_code == 400
    assert api("post", "workflows/adder/invoke", {"key": ""}).status_code == 400
    assert Event.objects.count() == Run.objects.count() == 0


def test_forged_tags_stay_data(api: Api, flows: None) -> None:
    """The codec's own marks, sent from outside, are nothing but data."""
    given = {"n": 1, "x": {"$durable": "uuid", "value": "00000000000000000000000000000000"}}
    api("post", "workflows/adder/invoke", {"data": given})
    event = Event.objects.get()
    assert api.read(f"events/{event.id}")["data"]["data"] == given


# --- keys -----------------------------------------------------------------------------------------


def test_only_a_hash_of_a_key_is_stored(store: Store) -> None:
    """No column of the row has the secret part of the key."""
    made = create_key("web", actor="test")
    row = AccessKey.objects.filter(id=made.key.id).values().get()
    assert made.text.startswith(row["prefix"])
    assert not [value for value in row.values() if made.text[15:] in str(value)]


def test_rotation_leaves_both_alive_for_a_while(store: Store) -> None:
    """The successor has the same rights; the old key lives through the overlap, and no longer."""
    old = create_key("web", actor="test", scopes=["read"], event_patterns=["a/*"])
    new = rotate_key("web", actor="test", overlap=timedelta(hours=1))
    assert (new.key.scopes, new.key.event_patterns) == (["read"], ["a/*"])
    assert verify_key(store.alias, old.text)
    assert verify_key(store.alias, new.text)
    for _ in range(5):  # often enough to meet the millisecond in which the key ends
        last = rotate_key(new.key.prefix, actor="test", overlap=timedelta(0))
        assert verify_key(store.alias, new.text) is None
        assert verify_key(store.alias, last.text)
        new = last


def test_use_is_noted_at_most_once_a_minute(store: Store) -> None:
    """The first use is written, the next ones of the same minute are not."""
    made = create_key("web", actor="test")
    verify_key(store.alias, made.text)
    first = AccessKey.objects.get().used_at
    assert first is not None
    verify_key(store.alias, made.text)
    assert AccessKey.objects.get().used_at == first
    AccessKey.objects.update(used_at=first - timedelta(minutes=2))
    verify_key(store.alias, made.text)
    assert AccessKey.objects.get().used_at > first - timedelta(minutes=1)


def test_networks(store: Store) -> None:
    """A key that is bound to networks is good from there only."""
    text = create_key("web", actor="test", networks=["10.0.0.0/8", "::1/128"]).text
    found = {
        address: verify_key(store.alias, text, address=address)
        for address in ("10.1.1.1", "::1", "11.0.0.1", "")
    }
    assert [address for address, key in found.items() if key] == ["10.1.1.1", "::1"]


def test_keys_command(store: Store) -> None:
    """A key is made, listed, rotated and revoked on the command line; its text is shown once."""
    made = run_durable(
        "keys", "create", "web", "--scope", "read", "--event", "a/*", "--expires", "90d", "--json"
    ).data
    assert verify_key(store.alias, made["key"])
    listed = run_durable("keys", "list")
    assert made["prefix"] in listed.out
    assert made["key"] not in listed.out
    assert "key" not in run_durable("keys", "list", "--json").data[0]
    successor = run_durable("keys", "rotate", made["prefix"], "--overlap", "0").out.strip()
    assert verify_key(store.alias, made["key"]) is None
    revoked = run_durable("keys", "revoke", successor[:15], "--json").data
    assert revoked["revoked_at"]
    assert verify_key(store.alias, successor) is None
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {
        "create key",
        "rotate key",
        "revoke key",
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create",), "take the name"),
        (("list", "web"), "list takes none"),
        (("revoke", "nobody"), "[key_not_found] No live"),
        (("revoke", "twice"), "[key_not_found] Several live"),
        (("create", "web", "--network", "10.0.0.1/8"), "[key_invalid]"),
        (("create", "x" * 81), "[key_invalid]"),
    ],
)
def test_keys_command_explains(store: Store, arguments: tuple[str, ...], told: str) -> None:
    """What cannot be done is a sentence, and makes no key."""
    for _ in range(2):
        create_key("twice", actor="test")
    assert told in run_durable("keys", *arguments, fails=True).error
    assert AccessKey.objects.filter(revoked_at=None).count() == 2


def test_revoked_keys_stay_listed(store: Store) -> None:
    """Revoking keeps the row, for the record."""
    made = create_key("web", actor="test")
    revoke_key("web", actor="test")
    assert AccessKey.objects.get(id=made.key.id).revoked_at is not None


def test_no_id_of_a_workflow_leaves_the_api(api: Api) -> None:
    """An id with slashes or line breaks in it is one that is not known, answered as JSON."""
    for id in ("a/b", "a%0Ab", "a%0D%0A/c%E2%80%A8d"):
        answer = api("post", f"workflows/{id}/invoke")
        assert (answer.status_code, answer.json()["code"]) == (404, "workflow_unknown")
