"""Who may do what in the console, that a form acts once, and what its pages cost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from durable_django import send_event, workflow
from durable_django.admin.edited import restore
from durable_django.models import Attempt, AuditEntry, Event, Run, Step, Wait, WebhookDelivery, WorkflowState
from durable_django.testing import drain
from tests.plans import list_whole
from tests.plugins.store import Store
from tests.threads import run_together

FLOOR = 2
"""Session and user, of a superuser."""
VIEWS = ["view_run", "view_step", "view_wait", "view_event", "view_attempt", "view_workflowstate"]
SECRET = "4111-1111"
TOMORROW = timezone.now() + timedelta(days=1)


def path(name: str, *args: Any) -> str:
    return reverse(f"admin:durable_django_{name}", args=args)


def fail() -> None:
    raise ConnectionError("no answer")


@dataclass(frozen=True)
class Stage:
    """A run that waits, one that retries and one that failed."""

    waiting: Run
    retrying: Run
    failed: Run
    wait: Wait
    step: Step
    event: Event

    def list_actions(self) -> dict[str, tuple[str, str, dict[str, str]]]:
        """Return address, permission and form of each action."""
        value = {"value": '{"a": 1}'}
        return {
            "cancel": (path("run_cancel", self.waiting.pk), "cancel_run", {}),
            "retry": (path("run_retry", self.failed.pk), "retry_run", {}),
            "wake": (path("run_wake", self.retrying.pk), "retry_run", {}),
            "rerun": (path("run_rerun", self.waiting.pk), "rerun_run", {"payload": "{}"}),
            "rerun from": (
                path("run_rerun_from", self.retrying.pk),
                "rerun_run",
                {"step": str(self.step.pk), "payload": "{}"},
            ),
            "resolve": (path("wait_resolve", self.wait.pk), "resolve_wait", value),
            "time out": (path("wait_timeout", self.wait.pk), "resolve_wait", {}),
            "extend": (path("wait_extend", self.wait.pk), "resolve_wait", {"until": f"{TOMORROW:%FT%T}"}),
            "supply": (path("step_supply", self.step.pk), "resolve_wait", value),
            "send": (path("event_send"), "send_event", {"name": "a/b", "payload": "{}"}),
            "resend": (path("event_resend", self.event.pk), "send_event", {"payload": "{}"}),
            "invoke": (path("workflow_invoke", "waiting"), "invoke_workflow", {"payload": "{}"}),
            "pause": (path("workflow_pause", "waiting"), "pause_workflow", {"running": "finish"}),
            "resume": (path("workflow_resume", "paused"), "pause_workflow", {}),
        }


ACTIONS = [
    "cancel", "retry", "wake", "rerun", "rerun from", "resolve", "time out", "extend", "supply", "send",
    "resend", "invoke", "pause", "resume",
]  # fmt: skip


@pytest.fixture
def stage(store: Store) -> Stage:
    @workflow(id="waiting", trigger="order/placed")
    def waiting(ctx: Any) -> Any:
        ctx.step.run("prepare", lambda: {"card": SECRET})
        ctx.step.wait_for_event("answer", event="an/answer", match="data.card", timeout="1 day")

    @workflow(id="retrying")
    def retrying(ctx: Any) -> None:
        ctx.step.run("charge", fail, retries=4)

    @workflow(id="failing")
    def failing(ctx: Any) -> None:
        ctx.step.run("charge", fail, retries=0)

    @workflow(id="paused")
    def paused(ctx: Any) -> None:
        pass

    event = send_event("order/placed", {"card": SECRET, "password": "hidden"})
    retries, fails = retrying.start({"card": SECRET}), failing.start()
    drain()
    WorkflowState.objects.update_or_create(
        id="paused", defaults={"paused_at": "2030-01-01T00:00Z", "paused_by": "a", "pause_running": "finish"}
    )
    asks = Run.objects.get(workflow="waiting")
    return Stage(
        waiting=asks,
        retrying=Run.objects.get(pk=retries.id),
        failed=Run.objects.get(pk=fails.id),
        wait=Wait.objects.get(run=asks),
        step=Step.objects.get(run_id=retries.id),
        event=Event.objects.get(pk=event),
    )


def log_in(*permissions: str, csrf: bool = False) -> Client:
    user = User.objects.create_user(f"user{User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


def read_mark(page: Any) -> str:
    found = re.search(r'name="mark" value="([\w-]+)"', page.content.decode())
    assert found is not None
    return found[1]


def read_messages(response: Any) -> list[str]:
    return [str(each) for each in response.wsgi_request._messages]


def take_stock() -> list[int]:
    models = (Run, Step, Wait, Event, Attempt, AuditEntry, WorkflowState, WebhookDelivery)
    return [model.objects.count() for model in models]


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_needs_its_permission(store: Store, stage: Stage, action: str) -> None:
    """Without it neither page nor POST, and the attempt is noted; with it alone both; a GET changes nothing."""
    url, permission, form = stage.list_actions()[action]
    before = take_stock()
    viewer = log_in(*VIEWS)
    assert viewer.get(url).status_code == 403
    assert take_stock() == before
    mark = "x" * 16
    assert viewer.post(url, {**form, "mark": mark}).status_code == 403
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.result) == (action.removesuffix(" from"), "denied")
    entry.delete()
    operator = log_in(*VIEWS, permission, "view_payload")
    page = operator.get(url)
    assert page.status_code == 200
    assert take_stock() == before
    done = operator.post(url, {**form, "mark": read_mark(page), "reason": "because"})
    assert done.status_code == 302
    assert "Nothing was done" not in " ".join(read_messages(done))
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason) == (action.removesuffix(" from"), "because")
    assert not entry.result.startswith(("denied", "refused"))


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_needs_the_token_of_its_page(store: Store, stage: Stage, action: str) -> None:
    """A POST from elsewhere is refused by Django, one without a mark by us."""
    url, permission, form = stage.list_actions()[action]
    before = take_stock()
    assert log_in(*VIEWS, permission, csrf=True).post(url, {**form, "mark": "x" * 16}).status_code == 403
    unmarked = log_in(*VIEWS, permission, "view_payload").post(url, form)
    assert "this form was sent before" in " ".join(read_messages(unmarked))
    assert take_stock() == before


@pytest.mark.parametrize("action", ["rerun", "send", "resend", "invoke"])
def test_a_form_that_is_sent_twice_at_once_acts_once(store: Store, stage: Stage, action: str) -> None:
    """Both requests are under way together; one of them finds the mark taken."""
    url, permission, form = stage.list_actions()[action]
    client = log_in(*VIEWS, permission, "view_payload")
    data = {**form, "mark": read_mark(client.get(url))}
    cookies = client.cookies

    def send() -> str:
        own = Client()
        own.cookies = cookies
        return " ".join(read_messages(own.post(url, data)))

    told = run_together([send, send])
    assert sum("this form was sent before" in each for each in told) == 1
    assert AuditEntry.objects.filter(action=action).count() == 1


def test_pages_offer_what_the_user_may_do(store: Store, stage: Stage) -> None:
    """A viewer sees no button; an operator sees those that fit the state."""
    pages = [
        path("run_change", stage.waiting.pk),
        path("run_change", stage.retrying.pk),
        path("step_change", stage.step.pk),
        path("wait_change", stage.wait.pk),
        path("event_change", stage.event.pk),
        path("event_changelist"),
    ]
    viewer = log_in(*VIEWS)
    for page in pages:
        assert 'class="dd-buttons"' not in viewer.get(page).content.decode(), page
    operator = log_in(*VIEWS, "cancel_run", "retry_run", "resolve_wait")
    waiting, retrying, step, wait = (operator.get(page).content.decode() for page in pages[:4])
    assert ("Cancel…" in waiting, "Retry now…" in waiting, "Resolve…" in waiting) == (True, False, True)
    assert ("Cancel…" in retrying, "Retry now…" in retrying, "Rerun…" in retrying) == (True, True, False)
    assert "Skip with this result…" in step
    assert "Extend…" in wait


def test_payloads_are_hidden(store: Store, stage: Stage) -> None:
    """Without the permission no page, form or file carries them; errors and names are shown."""
    everything = [*VIEWS, "rerun_run", "send_event", "export_run", "resolve_wait", "view_runresult"]
    viewer, seer = log_in(*everything), log_in(*everything, "view_payload")
    shown = 0
    for page in (
        path("run_change", stage.waiting.pk) + "?tab=payloads",
        path("run_export_one", stage.waiting.pk),
        path("run_rerun", stage.waiting.pk),
        path("run_rerun_from", stage.waiting.pk),
        path("step_change", Step.objects.get(name="prepare").pk),
        path("wait_change", stage.wait.pk),
        path("event_change", stage.event.pk),
        path("event_resend", stage.event.pk),
    ):
        hidden = viewer.get(page)
        assert hidden.status_code == 200
        assert SECRET not in hidden.content.decode(), page
        shown += SECRET in seer.get(page).content.decode()
    assert shown == 8
    search = path("event_changelist") + f"?q=data.card={SECRET}"
    assert "To search in payloads you need the permission" in viewer.get(search).content.decode()
    assert str(stage.event.pk) not in viewer.get(search).content.decode()
    assert str(stage.event.pk) in seer.get(search).content.decode()


def test_a_rerun_without_payloads_has_the_same_input(store: Store, stage: Stage) -> None:
    """Who may not see it cannot change it either, by hand-made fields."""
    url = path("run_rerun", stage.waiting.pk)
    client = log_in("view_run", "rerun_run")
    done = client.post(url, {"mark": read_mark(client.get(url)), "payload": '{"card": "other"}'})
    assert done.status_code == 302
    assert Run.objects.get(rerun_of=stage.waiting.pk).event_id == stage.event.pk


def test_masked_values_keep_their_originals(store: Store, stage: Stage) -> None:
    """The form shows the mask; the event that is sent has the value, and what was edited."""
    url = path("event_resend", stage.event.pk)
    client = log_in("view_event", "send_event", "view_payload")
    page = client.get(url)
    assert "[redacted]" in page.content.decode()
    assert "hidden" not in re.findall(r"<textarea.*?</textarea>", page.content.decode(), re.DOTALL)[0]
    client.post(url, {"mark": read_mark(page), "payload": '{"card": "new", "password": "[redacted]"}'})
    sent = Event.objects.filter(source="operator").get()
    assert json.loads(sent.data) == {"card": "new", "password": "hidden"}


@pytest.mark.parametrize(
    ("edited", "original", "wanted"),
    [
        ({"a": "[redacted]"}, {"a": 1}, {"a": 1}),
        ({"a": "[redacted]"}, {}, {"a": "[redacted]"}),
        ({"a": ["[redacted]", 2, "[redacted]"]}, {"a": [1]}, {"a": [1, 2, "[redacted]"]}),
        ({"a": {"b": "[redacted]", "c": 3}}, {"a": {"b": [1], "c": 2}}, {"a": {"b": [1], "c": 3}}),
        ("[redacted]", None, "[redacted]"),
    ],
)
def test_masks_are_replaced_at_any_depth(edited: Any, original: Any, wanted: Any) -> None:
    """Each mask by what stood there, and nothing else."""
    assert restore(edited, original) == wanted


def test_a_run_is_exported_with_its_parts(store: Store, stage: Stage) -> None:
    """One file of JSON that names what is kept of it; the operator log notes who took it."""
    client = log_in(*VIEWS, "export_run", "view_payload")
    answer = client.get(path("run_export_one", stage.waiting.pk))
    told = json.loads(answer.content)
    assert answer["Content-Disposition"].endswith(f'run-{stage.waiting.pk}.json"')
    assert told["event"]["data"] == {"card": SECRET, "password": "[redacted]"}
    assert [(each["name"], each.get("output")) for each in told["steps"]] == [
        ("prepare", {"card": SECRET}),
        ("answer", None),
    ]
    assert told["waits"][0]["event_name"] == "an/answer"
    assert AuditEntry.objects.get().action == "export"
    assert log_in(*VIEWS).get(path("run_export_one", stage.waiting.pk)).status_code == 403


def test_a_long_payload_can_be_downloaded(store: Store, stage: Stage) -> None:
    """In full and masked, by those who may see payloads; the page links it only if it is cut."""
    client = log_in(*VIEWS, "view_payload")
    url = path("event_data", stage.event.pk)
    assert url not in client.get(path("event_change", stage.event.pk)).content.decode()
    Event.objects.filter(pk=stage.event.pk).update(data=json.dumps({"x": "y" * 200_000, "password": "p"}))
    assert url in client.get(path("event_change", stage.event.pk)).content.decode()
    assert client.get(url).json() == {"x": "y" * 200_000, "password": "[redacted]"}
    step = Step.objects.get(name="prepare")
    assert client.get(path("step_output", step.pk)).json() == {"card": SECRET}
    for each in (url, path("step_output", step.pk)):
        assert log_in(*VIEWS).get(each).status_code == 403
        assert log_in("view_run", "view_payload").get(each).status_code == 403


@pytest.mark.parametrize("name", ["run", "step", "wait", "event"])
def test_what_is_not_stored_has_a_page(store: Store, admin_client: Client, name: str) -> None:
    """It says so, and how long rows are kept; so does that of an action on it."""
    for key in ("999999", "01890000-0000-7000-8000-000000000000"):
        answer = admin_client.get(path(f"{name}_change", key))
        assert answer.status_code == 404
        assert "30" in answer.content.decode()


@contextmanager
def counting(store: Store) -> Iterator[list[str]]:
    asked: list[str] = []
    captures = [CaptureQueriesContext(connections[alias]) for alias in {"default", store.alias}]
    for capture in captures:
        capture.__enter__()
    yield asked
    for capture in captures:
        capture.__exit__(None, None, None)
        asked += [query["sql"] for query in capture]


def count(store: Store, client: Client, url: str) -> int:
    assert client.get(url).status_code == 200
    with counting(store) as asked:
        client.get(url)
    # What opens and limits a transaction asks for nothing.
    return len([sql for sql in asked if not re.match(r"(BEGIN|COMMIT|SET|SAVEPOINT|RELEASE|ROLLBACK)", sql)])


def test_pages_cost_few_queries_for_any_number_of_rows(
    store: Store, stage: Stage, admin_client: Client
) -> None:
    """Details at most 7, lists at most 4, and the same with fifty times the rows."""
    details: list[Callable[[], str]] = [
        lambda: path("step_change", stage.step.pk),
        lambda: path("wait_change", stage.wait.pk),
        lambda: path("event_change", stage.event.pk),
        *(lambda url=url: url for url, _permission, _form in stage.list_actions().values()),
    ]
    lists = [path("wait_changelist"), path("event_changelist")]
    few = [count(store, admin_client, page()) - FLOOR for page in details]
    few_lists = [count(store, admin_client, url) - FLOOR for url in lists]
    multiply(stage, 50)
    many = [count(store, admin_client, page()) - FLOOR for page in details]
    many_lists = [count(store, admin_client, url) - FLOOR for url in lists]
    assert many == few
    assert max(many) <= 7
    assert max(few_lists + many_lists) <= 4


def multiply(stage: Stage, times: int) -> None:
    when = "2030-01-01T00:00Z"
    events = Event.objects.bulk_create(
        Event(name="an/answer", ts=1, arrival=stage.event.arrival + number + 1000) for number in range(times)
    )
    for number, event in enumerate(events):
        run = Run.objects.create(workflow="waiting", event=event, queue="q", wake_at=when)
        Wait.objects.create(run=run, name="w", event_name="an/answer", expires_at=when)
        Attempt.objects.create(
            run=stage.retrying, name="charge", number=number + 1, started_at=when, ended_at=when
        )


@pytest.mark.parametrize(
    "query",
    [
        "wait_changelist?",
        "wait_changelist?q=an/answer",
        "wait_changelist?q=01890000-0000-7000-8000-000000000000",
        "wait_changelist?ends=overdue",
        "event_changelist?",
        "event_changelist?q=sender-1",
        "event_changelist?q=01890000-0000-7000-8000-000000000000",
        "event_changelist?outcome=nothing",
        "event_changelist?outcome=pending",
    ],
)
def test_no_list_reads_a_whole_table(store: Store, admin_client: Client, query: str) -> None:
    """Each list and search of waits and events is answered by indexes."""
    when, done = "2030-01-01T00:00Z", timezone.now()
    old = [Event(id=UUID(int=number), name="a/b", ts=1, routed_at=done) for number in range(1, 2_000)]
    events = Event.objects.bulk_create([*old, Event(name="a/b", ts=1, external_id="sender-1")])
    Run.objects.bulk_create(Run(workflow="w", event=event, queue="q", wake_at=when) for event in events)
    runs = list(Run.objects.values_list("pk", flat=True))
    Wait.objects.bulk_create(
        Wait(
            run_id=run,
            name="w",
            event_name="an/answer",
            expires_at=when,
            status="open" if at < 5 else "closed",
        )
        for at, run in enumerate(runs)
    )
    with store.connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    name, _sign, parameters = query.partition("?")
    with counting(store) as asked:
        assert admin_client.get(f"{path(name)}?{parameters}").status_code == 200
    rows = [sql for sql in asked if re.search(r'FROM "durable_django_(wait|event)".*LIMIT 51', sql)]
    assert len(rows) == 1
    assert list_whole(store, rows[0]) == []
