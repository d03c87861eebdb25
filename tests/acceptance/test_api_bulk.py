from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from durable_django import workflow
from durable_django.engine.keys import create_key
from durable_django.models import AuditEntry, BulkOperation
from durable_django.testing import drain
from tests.plugins.store import Store


@pytest.fixture
def waiting(store: Store) -> Any:
    @workflow(id="waiting")
    def waiting(ctx: Any) -> Any:
        return ctx.step.wait_for_event("w", event="w/go", timeout="1 day")

    return waiting


@pytest.fixture
def call(store: Store) -> Any:
    keys = {
        scope: create_key(scope, actor="test", scopes=["read", scope]).text for scope in ("operate", "ingest")
    }

    def call(method: str, path: str, body: Any = None, scope: str = "operate") -> Any:
        headers = {"authorization": f"Bearer {keys[scope]}"}
        more = {} if method == "get" else {"data": json.dumps(body or {}), "content_type": "application/json"}
        return getattr(Client(), method)(f"/durable/v1/{path}", headers=headers, **more)

    return call


def test_start_show_stop_and_continue(call: Any, waiting: Any) -> None:
    """An operation is started with a filter, stopped, continued and followed by its number."""
    runs = [waiting.start() for _ in range(2)]
    body = {"action": "cancel", "filter": {"workflow": "waiting"}, "reason": "wrong price"}
    answer = call("post", "bulk", body)
    made = answer.json()["data"]
    assert answer.status_code == 201
    assert (made["state"], made["matched"], made["actor"]) == ("running", 2, "api:operate")
    path = f"bulk/{made['id']}"
    assert call("post", f"{path}/stop").json()["data"]["state"] == "stopped"
    assert call("post", f"{path}/stop").status_code == 409
    drain()
    assert call("get", path).json()["data"]["done"] == 0
    assert call("post", f"{path}/continue", {"reason": "go on"}).json()["data"]["state"] == "running"
    drain()
    assert call("get", path).json()["data"]["state"] == "finished"
    assert {run.status for run in runs} == {"cancelled"}
    assert AuditEntry.objects.filter(bulk_id=made["id"]).count() == 5


def test_a_list_has_pages(call: Any, waiting: Any) -> None:
    """The newest operation comes first, and ``next`` is the cursor of the page below."""
    for _ in range(3):
        call("post", "bulk", {"action": "rerun", "filter": {"workflow": "waiting"}})
    first = call("get", "bulk?limit=2").json()
    rest = call("get", f"bulk?limit=2&cursor={first['next']}").json()
    numbers = [row["id"] for row in first["data"] + rest["data"]]
    assert numbers == sorted(numbers, reverse=True)
    assert (len(numbers), rest["next"]) == (3, None)


def test_dry_run(call: Any, waiting: Any) -> None:
    """``dry_run`` tells how many rows match and starts nothing."""
    waiting.start()
    answer = call("post", "bulk", {"action": "cancel", "filter": {"workflow": "waiting"}, "dry_run": True})
    assert answer.json()["data"] == {"action": "cancel", "matched": 1, "exact": True}
    assert not BulkOperation.objects.exists()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"action": "cancel", "filter": {}}, "bulk_invalid"),
        ({"action": "cancel"}, "bulk_invalid"),
        ({"action": "explode", "filter": {"workflow": "x"}}, "bulk_invalid"),
        ({"action": "cancel", "filter": {"nonsense": 1}}, "bulk_invalid"),
        ({"action": "cancel", "filter": {"workflow": "x"}, "filters": {}}, "request_invalid"),
        ({"action": ["cancel"], "filter": {"workflow": "x"}}, "request_invalid"),
        ({"action": "cancel", "filter": {"workflow": "x"}, "arguments": [1]}, "request_invalid"),
    ],
)
def test_what_is_not_understood_is_a_bad_request(call: Any, body: Any, code: str) -> None:
    """Nothing is started by a request with a mistake in it."""
    answer = call("post", "bulk", body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not BulkOperation.objects.exists()


def test_scopes(call: Any, store: Store) -> None:
    """A key without the scope operate may look and not act; an unknown operation is 404."""
    body = {"action": "cancel", "filter": {"workflow": "x"}}
    assert call("post", "bulk", body, scope="ingest").status_code == 403
    assert call("get", "bulk", scope="ingest").status_code == 200
    assert call("get", "bulk/7").status_code == 404
    assert call("get", "bulk?limit=x").status_code == 400
