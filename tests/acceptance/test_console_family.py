"""The tabs of a run's events and family: what it sent and received, what came close, whom it invoked."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from durable_django import send_event, workflow
from durable_django.models import Event, Run, Wait
from durable_django.testing import drain
from tests.acceptance.test_console_costs import FLOOR, counting
from tests.acceptance.test_console_list import count_reads, log_in, make_run
from tests.plugins.store import Store

PAGE = "admin:durable_django_run_change"


def read(client: Client, run: Any, **query: Any) -> str:
    answer = client.get(reverse(PAGE, args=[run.pk]), query)
    assert answer.status_code == 200
    return answer.content.decode()


def read_section(html: str, title: str) -> str:
    return html.partition(f"<h2>{title}</h2>")[2].partition("<h2>")[0]


@pytest.fixture
def talkative(store: Store) -> Run:
    """A run that has sent two events, has received one, and asks for another that one came close to."""

    @workflow(id="talkative")
    def talkative(ctx: Any) -> None:
        ctx.step.send_event("tell", [{"name": "order/told", "data": {}}, {"name": "order/noted", "data": {}}])
        ctx.step.wait_for_event("paid", event="order/paid", timeout="1 day")
        ctx.step.wait_for_event("sent", event="order/sent", match="data.order", timeout="1 day")

    run = talkative.start({"order": "A-1"})
    drain()
    send_event("order/paid", {"order": "A-1"})
    drain()
    send_event("order/sent", {"order": "B-2"})
    drain()
    return Run.objects.get(pk=run.id)


def test_the_events_of_a_run(store: Store, admin_client: Client, talkative: Run) -> None:
    """Those that it sent, the one that it received, and the one that another value kept from ending its wait."""
    html = read(admin_client, talkative, tab="events")
    ids = {event.name: str(event.pk) for event in Event.objects.all()}
    sent, received = read_section(html, "Sent"), read_section(html, "Received")
    assert f"order/told {ids['order/told']}</a>" in sent
    assert f"order/noted {ids['order/noted']}</a>" in sent
    assert f"order/paid {ids['order/paid']}</a>" in received
    close = read_section(html, "Events that came close")
    assert ids["order/sent"] in close
    assert f"/wait/{Wait.objects.get(status='open').pk}/change/" in close
    assert "event.data.order = &quot;A-1&quot;" in close
    assert "async.data.order = &quot;B-2&quot;" in close


def test_the_events_of_a_run_show_no_payload_to_others(store: Store, talkative: Run) -> None:
    """Names and ids are shown, compared values are not; what was sent is told by steps, which need their permission."""
    html = read(log_in("view_run", "view_event", "view_step"), talkative, tab="events")
    assert "came close" not in html
    assert "B-2" not in html
    assert "order/told" in html
    assert "order/told" not in read(log_in("view_run", "view_event"), talkative, tab="events")


def test_a_run_without_events_says_so(store: Store, admin_client: Client) -> None:
    """Neither received nor sent is a sentence, not an empty table."""
    html = read(admin_client, make_run(), tab="events")
    assert "No event has ended a wait of this run." in html
    assert "It has sent no event." in html


def test_the_children_of_a_run_are_paged(store: Store, admin_client: Client) -> None:
    """Fifty a page, each once, in the same number of queries; one with children of its own leads to them."""
    parent = make_run(workflow="parent")
    children = [make_run(parent_id=parent.pk, parent_step="ask", parent_index=at) for at in range(60)]
    make_run(parent_id=children[3].pk, parent_step="deep")
    with counting(store) as asked:
        first = read(admin_client, parent, tab="family")
    assert count_reads(asked) <= FLOOR + 9
    link = re.search(r'href="([^"]+)" rel="next"', first)
    assert link is not None
    url = reverse(PAGE, args=[parent.pk]) + link[1].replace("&amp;", "&")
    second = admin_client.get(url).content.decode()
    pages = [re.findall(r'/run/([0-9a-f-]{36})/change/" title', html) for html in (first, second)]
    assert [len(page) for page in pages] == [50, 10]
    assert pages[0] + pages[1] == sorted(str(child.pk) for child in children)
    deeper = re.findall(r"/run/([0-9a-f-]{36})/change/\?tab=family", first)
    assert deeper == [str(children[3].pk)]
    assert 'rel="next"' not in second


def test_a_child_names_its_parent(store: Store, admin_client: Client) -> None:
    """Its workflow, its state and the step that invoked it; one that is no longer stored by its id."""
    parent = make_run(workflow="parent", status="failed")
    html = read(admin_client, make_run(parent_id=parent.pk, parent_step="ask"), tab="family")
    section = read_section(html, "Parent")
    assert str(parent.pk) in section
    assert "parent" in section
    assert "failed" in section
    assert "in step “ask”" in section
    gone = make_run(parent_id=make_run().event_id, parent_step="ask")
    assert str(gone.parent_id) in read_section(read(admin_client, gone, tab="family"), "Parent")
