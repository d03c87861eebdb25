from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from durable_django import workflow
from durable_django.admin.actions import AT_ONCE
from durable_django.engine.operations import cancel_run
from durable_django.models import (
    Attempt,
    AuditEntry,
    BulkOperation,
    Event,
    Run,
    RunStatus,
    Step,
    Wait,
    Worker,
)
from durable_django.testing import drain
from tests.plugins.store import Store

MODELS = ["run", "event", "step", "attempt", "wait", "auditentry", "worker"]
LIST = "admin:durable_django_{}_changelist"
PAGE = "admin:durable_django_{}_change"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def waiting() -> Any:
    """A workflow that does one step, fails one, and then waits for an event."""

    @workflow(id="waiting")
    def waiting(ctx: Any) -> None:
        ctx.step.run("first", lambda: {"text": SCRIPT})
        try:
            ctx.step.run("bad", fail, retries=0)
        except Exception as error:
            ctx.logger.info("as expected: %s", error)
        ctx.step.wait_for_event("answer", event="an/answer", match="data.n", timeout="1 day")

    return waiting


def fail() -> None:
    raise ValueError(SCRIPT)


def log_in(*permissions: str) -> Client:
    user = User.objects.create_user(f"user{uuid4().hex[:8]}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    client = Client()
    client.force_login(user)
    return client


def post_action(client: Client, action: str, *runs: Any, **fields: str) -> HttpResponse:
    data = {"action": f"{action}_selected", "_selected_action": [str(run) for run in runs], **fields}
    return client.post(reverse(LIST.format("run")), data)


def read_messages(response: Any) -> list[str]:
    return [str(each) for each in response.wsgi_request._messages]


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_pages_open_and_nothing_can_be_added_or_changed(
    store: Store, admin_client: Client, waiting: Any, model: str
) -> None:
    """Even a superuser can only look."""
    handle = waiting.start({"n": 1})
    again = waiting.start({"n": 2})
    cancel_run(again.id, actor="user:1", reason="why not")
    Worker.objects.create(name="worker/1", kind="local")
    rows = {
        "run": Run.objects.get(pk=handle.id),
        "event": Event.objects.first(),
        "step": Step.objects.first(),
        "attempt": Attempt.objects.first(),
        "wait": Wait.objects.first(),
        "auditentry": AuditEntry.objects.first(),
        "worker": Worker.objects.first(),
    }
    page = reverse(PAGE.format(model), args=[rows[model].pk])
    assert admin_client.get(reverse(LIST.format(model))).status_code == 200
    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"status": "completed"}).status_code == 403
    assert admin_client.get(reverse(f"admin:durable_django_{model}_add")).status_code == 403
    assert admin_client.post(reverse(f"admin:durable_django_{model}_add"), {}).status_code == 403


def test_the_page_of_a_run_shows_its_parts_and_links_them(
    store: Store, admin_client: Client, waiting: Any
) -> None:
    """Steps, waits and the event are one click away from their tabs, and lead back."""
    handle = waiting.start({"n": 1})
    url = reverse(PAGE.format("run"), args=[handle.id])
    for tab, model, row in [
        ("steps", "step", Step.objects.get(name="first")),
        ("waits", "wait", Wait.objects.get()),
        ("events", "event", Event.objects.get()),
    ]:
        html = admin_client.get(url, {"tab": tab}).content.decode()
        assert f'href="{reverse(PAGE.format(model), args=[row.pk])}"' in html
        assert url in admin_client.get(reverse(PAGE.format(model), args=[row.pk])).content.decode()
    assert "data.n" in admin_client.get(url, {"tab": "waits"}).content.decode()
    assert Attempt.objects.get().error_type in admin_client.get(url, {"tab": "attempts"}).content.decode()


@pytest.mark.parametrize(
    ("model", "rows"), [("event", Event), ("step", Step), ("attempt", Attempt), ("run", Run)]
)
def test_payloads_are_text(store: Store, admin_client: Client, waiting: Any, model: str, rows: Any) -> None:
    """Markup in a payload, a result or a message is shown, never interpreted."""
    waiting.start({"n": 1, "text": SCRIPT})
    row = rows.objects.order_by("pk").first()
    html = admin_client.get(reverse(PAGE.format(model), args=[row.pk])).content.decode()
    assert SCRIPT not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_json_is_indented_with_its_order_and_its_integers_kept(store: Store, admin_client: Client) -> None:
    """What is shown is what was stored: key order, large integers, letters of any script."""
    event = Event.objects.create(name="a/b", ts=1, data='{"z":1,"a":12345678901234567890,"é":["ü"]}')
    html = admin_client.get(reverse(PAGE.format("event"), args=[event.pk])).content.decode()
    shown = re.search(r"<pre>(.*?)</pre>", html, re.DOTALL)
    assert shown is not None
    assert shown[1].replace("&quot;", '"') == (
        '{\n  "z": 1,\n  "a": 12345678901234567890,\n  "é": [\n    "ü"\n  ]\n}'
    )


def test_a_long_payload_is_cut_and_says_so(store: Store, admin_client: Client) -> None:
    """A page stays small whatever the payload."""
    data = '{"x":"' + "y" * 200_000 + '"}'
    event = Event.objects.create(name="a/b", ts=1, data=data)
    html = admin_client.get(reverse(PAGE.format("event"), args=[event.pk])).content.decode()
    assert re.search(r"Cut: 65536 of 20\d{4} characters are shown\.", html)
    assert len(html) < 100_000


def test_a_run_with_very_many_steps_has_a_bounded_page(
    store: Store, admin_client: Client, waiting: Any
) -> None:
    """200 rows make a page, and a link leads to the next ones."""
    handle = waiting.start({"n": 1})
    Step.objects.bulk_create(
        Step(run_id=handle.id, name="loop", index=number, kind="run", status="completed", output="1")
        for number in range(300)
    )
    url = reverse(PAGE.format("run"), args=[handle.id])
    html = admin_client.get(url).content.decode()
    before = Step.objects.exclude(name="loop").count()
    assert f"loop ({200 - before})" in html
    assert f"loop ({201 - before})" not in html
    assert "302 completed" in html or "301 completed" in html
    link = re.search(r'href="\?(tab=steps&amp;after=\d+)" rel="next"', html)
    assert link is not None
    html = admin_client.get(f"{url}?{link[1].replace('&amp;', '&')}").content.decode()
    assert f"loop ({201 - before})" in html
    assert "loop (300)" in html
    assert "Further steps" not in html


def test_a_viewer_cannot_act_by_a_hand_made_post(store: Store, waiting: Any) -> None:
    """The server refuses what the page does not offer, confirmed or not, for one row or for all."""
    handle = waiting.start({"n": 1})
    viewer = log_in("view_run")
    assert "cancel_selected" not in viewer.get(reverse(LIST.format("run"))).content.decode()
    for action in ("cancel", "retry", "rerun", "delete"):
        assert post_action(viewer, action, handle.id, confirmed="yes").status_code == 403
        across = post_action(viewer, action, handle.id, confirmed="yes", index="0", select_across="1")
        assert across.status_code == 403
    for action in ("cancel", "retry", "rerun"):
        page = reverse(f"admin:durable_django_run_{action}", args=[handle.id])
        assert viewer.get(page).status_code == viewer.post(page, {"confirmed": "yes"}).status_code == 403
    deletion = reverse("admin:durable_django_run_delete", args=[handle.id])
    assert viewer.post(deletion, {"post": "yes"}).status_code == 403
    assert handle.status == "waiting"
    assert Run.objects.count() == 1
    assert set(AuditEntry.objects.values_list("result", flat=True)) == {"denied"}
    assert AuditEntry.objects.count() == 11


def test_a_permission_allows_its_own_action_only(store: Store, waiting: Any) -> None:
    """Who may cancel may not rerun."""
    handle = waiting.start({"n": 1})
    canceller = log_in("view_run", "cancel_run")
    post_action(canceller, "rerun", handle.id, confirmed="yes")
    assert Run.objects.count() == 1
    post_action(canceller, "cancel", handle.id, confirmed="yes")
    assert handle.status == "cancelled"


def test_someone_without_view_permission_sees_nothing(store: Store, waiting: Any) -> None:
    """Being staff is not enough."""
    handle = waiting.start({"n": 1})
    stranger = log_in()
    assert stranger.get(reverse(LIST.format("run"))).status_code == 403
    assert stranger.get(reverse(PAGE.format("run"), args=[handle.id])).status_code == 403


def test_parts_that_the_user_may_not_view_are_left_out(store: Store, waiting: Any) -> None:
    """The page of a run shows rows of other models to those who may view these."""
    handle = waiting.start({"n": 1})
    page = reverse(PAGE.format("run"), args=[handle.id])
    viewer = log_in("view_run")
    for tab in ("", "steps", "payloads", "events", "waits", "family", "attempts", "log", "raw"):
        html = viewer.get(page, {"tab": tab}).content.decode()
        assert "ValueError" not in html
        assert "&quot;n&quot;: 1" not in html
    html = log_in("view_run", "view_attempt").get(page, {"tab": "attempts"}).content.decode()
    assert "ValueError" in html


def test_an_action_asks_before_it_acts(store: Store, admin_client: Client, waiting: Any) -> None:
    """The first POST only shows the runs and a form; the form acts, with its reason."""
    handle = waiting.start({"n": 1})
    asked = post_action(admin_client, "cancel", handle.id)
    html = asked.content.decode()
    assert asked.status_code == 200
    assert handle.id in html
    assert handle.status == "waiting"
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)"', html))
    assert hidden.pop("csrfmiddlewaretoken")
    done = admin_client.post(reverse(LIST.format("run")), {**hidden, "reason": "a test"})
    assert done.status_code == 302
    assert read_messages(done) == ["Cancelled 1 run."]
    entry = AuditEntry.objects.get()
    user = User.objects.get(username="admin")
    assert (entry.actor, entry.action, entry.reason) == (f"user:{user.pk} admin", "cancel", "a test")
    logged = LogEntry.objects.get()
    assert (logged.user_id, logged.object_id) == (user.pk, handle.id)


def test_a_form_without_csrf_token_is_refused(store: Store, admin_user: User, waiting: Any) -> None:
    """Another site cannot act with the operator's session."""
    handle = waiting.start({"n": 1})
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert post_action(client, "cancel", handle.id, confirmed="yes").status_code == 403
    assert handle.status == "waiting"


def test_what_was_done_and_what_was_refused_is_counted(
    store: Store, admin_client: Client, waiting: Any
) -> None:
    """Mixed selections act where they can and say why they could not elsewhere; links lead to both lists."""
    live = [waiting.start({"n": number}) for number in range(3)]
    ended = [waiting.start({"n": number}) for number in range(2)]
    for handle in ended:
        cancel_run(handle.id, actor="test")
    everything = [handle.id for handle in live + ended]
    done = post_action(admin_client, "cancel", *everything, confirmed="yes")
    [message] = read_messages(done)
    assert message.startswith("Cancelled 3 runs. 2 runs were left alone: cancelled. <a href=")
    links = {text: url for url, text in re.findall(r'<a href="([^"]+)">([^<]+)</a>', message)}
    bulk = BulkOperation.objects.get()
    assert list(links) == [
        "Show the 3 that were changed",
        "Show the 2 that were left alone",
        f"Open bulk operation {bulk.pk}",
    ]
    pages = [admin_client.get(url.replace("&amp;", "&")).content.decode() for url in links.values()]
    assert [[handle.id in page for handle in live + ended] for page in pages[:2]] == [
        [True, True, True, False, False],
        [False, False, False, True, True],
    ]
    assert "3 done, 2 left alone, 0 failed, of 5." in pages[2]
    assert "refused: cancelled" in pages[2]
    assert LogEntry.objects.count() == 3


def test_retry_and_rerun_go_through_the_operations(store: Store, admin_client: Client, waiting: Any) -> None:
    """A cancelled run goes on; a rerun starts a new one beside it."""
    handle = waiting.start({"n": 1})
    cancel_run(handle.id, actor="test")
    assert read_messages(post_action(admin_client, "retry", handle.id, confirmed="yes")) == [
        "Queued 1 run again."
    ]
    drain()
    assert handle.status == "waiting"
    started = post_action(admin_client, "rerun", handle.id, confirmed="yes")
    assert "Started 1 new run." in read_messages(started)
    assert str(Run.objects.exclude(pk=handle.id).get().rerun_of) == handle.id


def test_only_ended_runs_are_deleted_and_whole(store: Store, waiting: Any) -> None:
    """With the permission an ended run goes with its parts; a live one stays, its event and log too."""
    ended, live = waiting.start({"n": 1}), waiting.start({"n": 2})
    cancel_run(ended.id, actor="test")
    deleter = log_in("view_run", "delete_run")
    done = post_action(deleter, "delete", ended.id, live.id, confirmed="yes")
    [message] = read_messages(done)
    assert message.startswith("Deleted 1 run. 1 run was left alone: waiting. <a ")
    assert re.findall(r">([^<]+)</a>", message) == ["Show the 1 that was left alone"]
    assert [str(run.pk) for run in Run.objects.all()] == [live.id]
    for model in (Step, Attempt, Wait):
        assert set(model.objects.values_list("run_id", flat=True)) == {Run.objects.get().pk}
    assert Event.objects.count() == 2
    entries = AuditEntry.objects.order_by("pk").values_list("action", "result")
    assert [action for action, _result in entries] == ["cancel", "delete", "delete"]
    assert [result for _action, result in entries[1:]] == ["refused: waiting", "deleted"]


def test_the_delete_page_works_for_ended_runs(store: Store, waiting: Any) -> None:
    """Django's own page of a single run obeys the same rule."""
    handle = waiting.start({"n": 1})
    deleter = log_in("view_run", "delete_run")
    page = reverse("admin:durable_django_run_delete", args=[handle.id])
    assert deleter.post(page, {"post": "yes"}).status_code == 403
    cancel_run(handle.id, actor="test")
    assert deleter.get(page).status_code == 200
    assert deleter.post(page, {"post": "yes"}).status_code == 302
    assert Run.objects.count() == Step.objects.count() == 0


def test_no_action_takes_more_runs_than_a_request_can_bear(store: Store, admin_client: Client) -> None:
    """ "Select all" of a long list is refused before anything is done."""
    make_runs(AT_ONCE + 1)
    first = str(Run.objects.values_list("pk", flat=True)[0])
    done = post_action(admin_client, "cancel", first, confirmed="yes", index="0", select_across="1")
    assert read_messages(done) == ["Select at most 200 runs at once."]
    assert not AuditEntry.objects.exists()


def make_runs(count: int) -> None:
    events = Event.objects.bulk_create(Event(name="a/b", ts=1) for _ in range(count))
    Run.objects.bulk_create(
        Run(workflow="w", event=event, queue="q", wake_at=event.created_at or "2030-01-01T00:00Z")
        for event in events
    )


@pytest.mark.parametrize("model", MODELS)
def test_lists_cost_the_same_queries_for_any_number_of_rows(
    store: Store, admin_client: Client, model: str
) -> None:
    """No column, link or checkbox asks for its row again."""
    url = reverse(LIST.format(model))
    counts = []
    for number in (1, 40):
        fill(number)
        counts.append(count_queries(store, admin_client, url))
    assert counts[0] == counts[1]


def test_the_page_of_a_run_costs_the_same_queries_for_any_number_of_parts(
    store: Store, admin_client: Client
) -> None:
    """Each table of the page is one query."""
    fill(1)
    run = Run.objects.get()
    page = reverse(PAGE.format("run"), args=[run.pk])
    few = count_queries(store, admin_client, page)
    fill(40, run)
    assert count_queries(store, admin_client, page) == few


def fill(count: int, run: Run | None = None) -> None:
    make_runs(0 if run else count)
    runs = [run] * count if run else list(Run.objects.all())
    mark = uuid4().hex
    when = "2030-01-01T00:00Z"
    for index, each in enumerate(runs):
        Step.objects.create(run=each, name=mark, index=index, kind="run", status="completed")
        Wait.objects.create(run=each, name=mark, index=index, event_name="e", expires_at=when)
        Attempt.objects.create(run=each, name=mark, number=index, started_at=when, ended_at=when)
        AuditEntry.objects.create(actor="a", action="cancel", run_id=each.pk)
        Worker.objects.create(name=f"{mark}{index}", kind="local")


def count_queries(store: Store, client: Client, url: str) -> int:
    client.get(url)  # fills the caches of content types and templates
    total = 0
    captures = [CaptureQueriesContext(connections[alias]) for alias in {"default", store.alias}]
    for capture in captures:
        capture.__enter__()
    assert client.get(url).status_code == 200
    for capture in captures:
        capture.__exit__(None, None, None)
        total += len(capture)
    return total


BOUNDED = re.compile(
    r'LENGTH\((CAST\()?"\w+"\."data"( AS BLOB\))?\)'
    r'|CASE WHEN LENGTH\("durable_django_wait"\."bound"\) <= 4000 THEN "durable_django_wait"\."bound"'
)
"""What lists may ask of payloads: how long they are, and the values of conditions if they are short."""


def test_lists_leave_payloads_in_the_database(store: Store, admin_client: Client, waiting: Any) -> None:
    """No list selects a payload column, looks for distinct values, or counts without bound."""
    waiting.start({"n": 1})
    for model in MODELS:
        with CaptureQueriesContext(store.connection) as captured:
            admin_client.get(reverse(LIST.format(model)))
        asked = [query["sql"] for query in captured if "durable_django_" in query["sql"]]
        assert asked
        assert not any("COUNT(" in sql and '"bound"' in sql for sql in asked)
        for sql in (BOUNDED.sub("", sql) for sql in asked):
            assert not re.search(r'"(data|extra|output|error|traceback|bound)"', sql)
            assert "DISTINCT" not in sql
            assert "COUNT(*)" not in sql or "LIMIT 10001" in sql


def test_search_is_by_full_id_only(store: Store, admin_client: Client, waiting: Any) -> None:
    """A full id finds its run and the run's parts; anything else finds nothing, without a scan."""
    first, second = waiting.start({"n": 1}), waiting.start({"n": 2})
    url = reverse(LIST.format("run"))
    found = admin_client.get(url, {"q": f" {first.id} "}).content.decode()
    assert first.id in found
    assert second.id not in found
    with CaptureQueriesContext(store.connection) as captured:
        assert first.id not in admin_client.get(url, {"q": "waiting"}).content.decode()
    assert not any("LIKE" in query["sql"] for query in captured)
    steps = admin_client.get(reverse(LIST.format("step")), {"q": first.id}).content.decode()
    assert steps.count(first.id) >= Step.objects.filter(run_id=first.id).count()
    assert second.id not in steps


def test_filters_by_status_and_registered_workflow(store: Store, admin_client: Client, waiting: Any) -> None:
    """The choices come from memory; each filters."""
    live, ended = waiting.start({"n": 1}), waiting.start({"n": 2})
    cancel_run(ended.id, actor="test")
    url = reverse(LIST.format("run"))
    found = admin_client.get(url, {"status__exact": RunStatus.CANCELLED}).content.decode()
    assert ended.id in found
    assert live.id not in found
    assert "?workflow=waiting" in found or "workflow=waiting" in found
    assert live.id in admin_client.get(url, {"workflow": "waiting"}).content.decode()
    assert live.id not in admin_client.get(url, {"workflow": "other"}).content.decode()


def test_pages_have_no_inline_script_or_style(store: Store, admin_client: Client, waiting: Any) -> None:
    """Our own markup passes a strict content security policy."""
    handle = waiting.start({"n": 1})
    pages = [
        admin_client.get(reverse(PAGE.format("run"), args=[handle.id])),
        post_action(admin_client, "cancel", handle.id),
    ]
    for page in pages:
        html = page.content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>\s*\S", html)
        assert not re.search(r"\s(style|onclick)=", html)
