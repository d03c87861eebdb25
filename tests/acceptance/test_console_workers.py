"""Workers are listed and drained: in the console, over HTTP and from the command line."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from durable_django import __version__, workflow
from durable_django.engine.faults import Fault
from durable_django.engine.keys import create_key
from durable_django.engine.tick import report_worker
from durable_django.models import AuditEntry, Run, Worker
from tests.acceptance.test_console_choices import confirm, path, read
from tests.commands import run_durable
from tests.plugins.store import Store
from tests.quiet import QUIET


@pytest.fixture
def worker(store: Store) -> str:
    report_worker(
        store.alias,
        "web-1:4711",
        "celery",
        ["durable", "mail"],
        slots=(8, 3),
        fault=Fault(text="OperationalError: gone", at=time.monotonic() - 60),
    )
    report_worker(store.alias, "web-2:12", "worker", ["durable"])
    return "web-1:4711"


def is_stopping(name: str) -> bool:
    return Worker.objects.get(name=name).is_stopping


def test_a_worker_is_drained_in_the_console(
    store: Store, admin_client: Client, worker: str, configure: Any
) -> None:
    """The page tells what it has and who remains; the list shows the state and the way back; the log has both."""
    configure(DISPATCHER=QUIET)

    @workflow(id="flow")
    def flow(ctx: Any) -> None:
        return None

    flow.start()
    Run.objects.update(status="running", owner=worker)
    listed = path("worker_changelist")
    url = path("worker_drain", worker)
    assert url in admin_client.get(listed).content.decode()
    asked = read(admin_client.get(url))
    assert "It has 1 run, which goes on." in asked
    assert "No other live worker serves the queue “mail”" in asked
    assert "“durable”" not in asked
    page = confirm(admin_client, url, reason="deploy")
    assert f"“{worker}” takes nothing new." in read(page)
    assert is_stopping(worker)
    shown = admin_client.get(listed).content.decode()
    assert "stopping" in shown
    assert path("worker_undrain", worker) in shown
    assert "is stopping" in read(admin_client.get(url, follow=True))
    confirm(admin_client, path("worker_undrain", worker))
    assert not is_stopping(worker)
    entries = AuditEntry.objects.order_by("id").values_list("action", "reason", "result")
    assert list(entries) == [("drain", "deploy", f"worker {worker}"), ("undrain", "", f"worker {worker}")]
    assert admin_client.get(path("worker_drain", "nobody")).status_code == 404


def test_a_queue_that_only_stopping_workers_serve_is_served_by_none(
    store: Store, admin_client: Client, worker: str, configure: Any
) -> None:
    """List, overview, run and doctor say so, as if the workers were gone."""
    configure(DISPATCHER=QUIET)

    @workflow(id="flow", queue="mail")
    def flow(ctx: Any) -> None:
        return None

    run = flow.start()
    assert "manage.py durable worker -q mail" not in read(admin_client.get(path("worker_changelist")))
    for name in (worker, "web-2:12"):
        run_durable("drain", name)
    assert "manage.py durable worker -q mail" in read(admin_client.get(path("worker_changelist")))
    overview = read(admin_client.get(path("overview")))
    assert "stopping" in overview
    assert "No live worker serves the queue “mail”" in overview
    assert "No live worker serves the queue “mail”" in read(admin_client.get(path("run_change", run.id)))
    run_durable("tick")
    [found] = [each for each in run_durable("doctor", "--json").data["checks"] if each["name"] == "workers"]
    assert "web-1:4711 (stopping)" in found["text"]
    assert "none serves mail" in found["text"]


@pytest.mark.parametrize("verb", ["drain", "undrain"])
def test_draining_needs_its_permission(store: Store, worker: str, verb: str) -> None:
    """Who may only look at workers is refused by page and POST, sees no button, and is noted."""
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_worker"))
    client = Client()
    client.force_login(user)
    url = path(f"worker_{verb}", worker)
    assert client.get(url).status_code == client.post(url, {"mark": "x" * 16}).status_code == 403
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.result) == (verb, "denied")
    page = client.get(path("worker_changelist")).content.decode()
    assert worker in page
    assert path("worker_drain", worker) not in page


def test_a_worker_is_drained_over_http(store: Store, worker: str) -> None:
    """The list names the states; draining twice is a conflict, an unknown name is not found, a reader may not."""
    headers = {"authorization": f"Bearer {create_key('ops', actor='t', scopes=['read', 'operate']).text}"}

    def post(name: str, verb: str, body: Any = None, **more: Any) -> Any:
        url = f"/durable/v1/workers/{name}/{verb}"
        return Client().post(url, body or {}, content_type="application/json", headers={**headers, **more})

    assert post(worker, "drain", {"reason": "deploy"}).json()["data"]["state"] == "stopping"
    assert (post(worker, "drain").status_code, post("nobody", "drain").status_code) == (409, 404)
    assert post(worker, "drain", {"reasn": "x"}).status_code == 400
    listed = Client().get("/durable/v1/workers", headers=headers).json()["data"]
    assert [(row["name"], row["state"], row["kind"]) for row in listed] == [
        (worker, "stopping", "celery"),
        ("web-2:12", "live", "worker"),
    ]
    told = {name: listed[0][name] for name in ("package", "code", "slots", "busy", "last_error")}
    assert told == {
        "package": __version__,
        "code": "",
        "slots": 8,
        "busy": 3,
        "last_error": "OperationalError: gone",
    }
    assert listed[0]["last_error_at"] < listed[0]["seen_at"]
    assert post(worker, "undrain").json()["data"]["state"] == "live"
    reader = f"Bearer {create_key('r', actor='t', scopes=['read']).text}"
    assert post(worker, "drain", authorization=reader).status_code == 403
    assert AuditEntry.objects.filter(action="drain").get().actor == "api:ops"


def test_a_worker_is_drained_from_the_command_line(store: Store, worker: str) -> None:
    """``workers`` lists, ``drain`` asks, ``--undo`` takes it back, ``--dry-run`` does nothing."""
    assert "Nothing was done" in run_durable("drain", worker, "--dry-run").out
    assert not is_stopping(worker)
    said = run_durable("drain", worker, "--reason", "deploy", "--json").data
    assert (said["state"], is_stopping(worker)) == ("stopping", True)
    lines = run_durable("workers").out.splitlines()
    assert lines[1].split()[:6] == [worker, "stopping", "celery", "durable,mail", "3/8", __version__]
    assert lines[1].endswith("OperationalError: gone")
    assert "[worker_refused]" in run_durable("drain", worker, fails=True).error
    assert "[worker_not_found]" in run_durable("drain", "nobody", fails=True).error
    assert "takes runs again" in run_durable("drain", worker, "--undo").out
    assert run_durable("workers", "--json").data[0]["state"] == "live"
    assert AuditEntry.objects.filter(action="drain").get().reason == "deploy"


def test_without_workers_the_list_says_how_to_start_one(store: Store) -> None:
    """An empty list is no error."""
    assert "manage.py durable worker" in run_durable("workers").out
