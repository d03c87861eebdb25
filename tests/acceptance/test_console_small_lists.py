"""The lists of events, waits and workflows: what their filters find, and what an empty one says."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from durable_django import workflow
from durable_django.models import Event, Wait
from tests.acceptance.test_console_costs import FLOOR, counting
from tests.acceptance.test_console_list import count_reads, log_in, make_live, make_run
from tests.plugins.store import Store

EVENTS = "admin:durable_django_event_changelist"
WAITS = "admin:durable_django_wait_changelist"
WORKFLOWS = "admin:durable_django_workflowstate_changelist"
WORKFLOW = "admin:durable_django_workflowstate_change"


def read(client: Client, page: str, /, **query: Any) -> str:
    answer = client.get(reverse(page), query)
    assert answer.status_code == 200
    return answer.content.decode()


def list_ids(html: str) -> set[str]:
    return set(re.findall(r'<code class="dd-nowrap" title="([^"]+)"', html))


def make_event(name: str = "a/b", **fields: Any) -> Event:
    return Event.objects.create(**{"name": name, "ts": 1, "routed_at": timezone.now(), **fields})


def make_wait(**fields: Any) -> Wait:
    soon = timezone.now() + timedelta(hours=1)
    return Wait.objects.create(
        **{"run": make_live(), "name": "w", "event_name": "order/paid", "expires_at": soon, **fields}
    )


def test_what_became_of_events(store: Store, admin_client: Client) -> None:
    """Used, a duplicate, or nothing: each event is under one of them, and its row says which."""
    reason = json.dumps([{"code": "duplicate", "workflow": "w", "detail": "k", "run": ""}])
    events = {"used": make_run().event, "nothing": make_event(), "duplicate": make_event(reasons=reason)}
    for outcome, event in events.items():
        assert list_ids(read(admin_client, EVENTS, outcome=outcome)) == {str(event.pk)}, outcome
    html = read(admin_client, EVENTS)
    assert html.count("</span> duplicate</span>") == 1
    assert len(list_ids(html)) == 3


def test_events_of_a_range_of_ones_own_and_of_any_name(store: Store, admin_client: Client) -> None:
    """A begin and an end may be given; the name is typed, also one that starts nothing."""
    old, new = make_event("order/archived"), make_event("order/placed")
    Event.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=3))
    assert list_ids(read(admin_client, EVENTS, created="all", name="order/archived")) == {str(old.pk)}
    before = f"{timezone.localtime() - timedelta(hours=1):%Y-%m-%dT%H:%M}"
    assert list_ids(read(admin_client, EVENTS, **{"from": before})) == {str(new.pk)}
    html = read(admin_client, EVENTS, name="order/placed")
    assert re.search(r'name="name"[^>]* value="order/placed"', html)
    assert 'name="by"' not in html


def test_a_slip_in_the_name_of_an_event_is_answered(store: Store, admin_client: Client) -> None:
    """Nothing is found, and the name that was meant is a link to its events."""
    workflow(id="ship", trigger="order/placed")(lambda ctx: None)
    make_event("order/placed")
    html = read(admin_client, EVENTS, name="order/plaecd")
    found = re.search(r'<a href="([^"]+)">Similar name: order/placed</a>', html)
    assert found is not None
    url = reverse(EVENTS) + found[1].replace("&amp;", "&")
    assert len(list_ids(admin_client.get(url).content.decode())) == 1


def test_the_size_of_a_payload_is_shown_without_reading_it(store: Store, admin_client: Client) -> None:
    """The database measures it in bytes, in the same query."""
    make_event(data=json.dumps({"text": "ß" * 1_500}, ensure_ascii=False))
    with counting(store) as asked:
        html = read(admin_client, EVENTS)
    assert "2.9\xa0KB" in html
    assert "ß" not in html
    assert not any(re.search(r'SELECT [^(]*"data"', sql) for sql in asked)


def test_no_overdue_wait_is_told_with_the_others(store: Store, admin_client: Client) -> None:
    """The sentence counts the open ones, links them, and costs one query more."""
    for _ in range(3):
        make_wait()
    with counting(store) as asked:
        html = read(admin_client, WAITS, ends="overdue")
    assert '<a href="?">3 other waits are open.</a>' in html
    assert count_reads(asked) <= FLOOR + 4
    make_wait(expires_at=timezone.now() - timedelta(hours=1))
    assert "other waits" not in read(admin_client, WAITS, ends="overdue")


def test_the_waits_of_a_workflow(store: Store, admin_client: Client) -> None:
    """Open ones of its unfinished runs, and ended ones of any, as the status says."""
    make_wait(name="here", run=make_live(workflow="ship"))
    make_wait(name="past", run=make_run(workflow="ship"), status="matched", ended_at=timezone.now())
    make_wait(name="else")

    def find(**query: str) -> set[str]:
        html = read(admin_client, WAITS, workflow="ship", **query)
        return set(re.findall(r'field-name[^>]*">(\w+)<', html))

    assert find() == {"here"}
    assert find(status="matched") == {"past"}
    assert find(status="all") == {"here", "past"}


def test_a_wait_tells_how_long_it_still_waits(store: Store, admin_client: Client) -> None:
    """Open ones say what is left or since when they are late; ended ones only until when they would have waited."""
    now = timezone.now()
    make_wait(expires_at=now + timedelta(hours=5, seconds=30))
    make_wait(expires_at=now - timedelta(hours=2, seconds=5))
    make_wait(expires_at=now + timedelta(days=3), status="matched", ended_at=now)
    html = read(admin_client, WAITS, status="all")
    assert re.search(r"\(5h( \d+s)? left\)", html)
    assert "2h 5s overdue)" in html or "2h 6s overdue)" in html
    assert html.count(" left)") == 1


def test_a_workflow_offers_what_can_be_done_to_many_runs(store: Store, admin_client: Client) -> None:
    """Cancel what is unfinished, to those who may; the next page counts and asks. The list names the app."""
    workflow(id="ship")(lambda ctx: None)
    make_live(workflow="ship")
    make_run(workflow="ship")
    url = reverse(WORKFLOW, args=["ship"])
    found = re.search(r'href="([^"]+)">Cancel its runs…', admin_client.get(url).content.decode())
    assert found is not None
    asked = admin_client.get(found[1].replace("&amp;", "&")).content.decode()
    assert "Cancel 1 run?" in asked
    assert "Cancel its runs" not in log_in("view_workflowstate").get(url).content.decode()
    assert re.search(r">ship</a> <span[^>]*>tests</span></th>", read(admin_client, WORKFLOWS))


@pytest.mark.parametrize("page", [EVENTS, WAITS, WORKFLOWS, "admin:durable_django_auditentry_changelist"])
@pytest.mark.parametrize("text", ["a\0b", "9" * 40, "%", "0001-01-01T00:00", "’; DROP"])
def test_no_address_breaks_a_list(store: Store, admin_client: Client, page: str, text: str) -> None:
    """Whatever stands in its parameters, it answers."""
    make_wait()
    make_event()
    for name in (
        "q",
        "name",
        "workflow",
        "older",
        "newer",
        "from",
        "until",
        "bulk",
        "ends",
        "age",
        "by",
        "outcome",
    ):
        assert admin_client.get(reverse(page), {name: text}).status_code in (200, 302), name


def test_an_empty_list_of_events_tells_none_from_none_of_late(store: Store, admin_client: Client) -> None:
    """Without any event it offers to send one; with older ones, to look at any time; at a misspelt name, names."""

    def read_empty(client: Client = admin_client, **query: str) -> str:
        html = client.get(reverse(EVENTS), query).content.decode()
        return html.partition('class="dd-empty"')[2].partition("</div>")[0]

    assert "No events received." in read_empty()
    assert reverse("admin:durable_django_event_send") in read_empty()
    assert "Send a test event" not in read_empty(log_in("view_event"))
    make_run(age=timedelta(days=2))
    Event.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert "No events received in this range of time." in read_empty()
    assert 'href="?created=all"' in read_empty()
    assert "Nothing matches: last hour" in " ".join(read_empty(created="1h").split())
    assert 'href="?created=all"' in read_empty(created="1h")


def test_an_empty_list_of_runs_leads_to_the_workflows(store: Store, admin_client: Client) -> None:
    """Whoever may invoke them finds where; all others how to start one without."""
    url = reverse("admin:durable_django_run_changelist")
    assert f'choose a <a href="{reverse(WORKFLOWS)}">workflow</a>' in admin_client.get(url).content.decode()
    html = log_in("view_run").get(url).content.decode()
    assert "Start one: send an event, or run <code>manage.py durable trigger</code>" in html
