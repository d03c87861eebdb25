"""Who may send how much: rates of keys, the backlog, and pages of other origins."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections
from django.test import Client

from durable_django.engine import backlog
from durable_django.engine.keys import create_key, rotate_key
from durable_django.exceptions import InvalidKey
from durable_django.models import AccessKey, Event
from tests.commands import run_durable
from tests.plugins.store import Store


def post(key: str, count: int = 1, **headers: str) -> Any:
    body = json.dumps([{"name": "a/b"}] * count).encode()
    return Client().post(f"/durable/e/{key}", body, content_type="application/json", headers=headers)


def age(seconds: float) -> None:
    """Let the time pass for all buckets."""
    key = AccessKey.objects.get()
    AccessKey.objects.update(busy_until=key.busy_until - seconds)


def test_a_key_sends_its_burst_and_then_its_rate(store: Store) -> None:
    """A burst is let in, the next event is refused until there is room for it, and says when."""
    key = create_key("web", actor="test", rate=0.01, burst=3).text
    assert [post(key).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = post(key)
    assert refused.json()["error"] == "Too many events: the key 'web' may send 0.01 a second."
    assert 90 <= int(refused["Retry-After"]) <= 101
    age(int(refused["Retry-After"]))
    assert [post(key).status_code for _ in range(2)] == [200, 429]
    assert Event.objects.count() == 4


def test_events_are_counted_not_requests(store: Store) -> None:
    """An array costs as many as it has; one that is larger than the burst takes all of it and more time."""
    key = create_key("web", actor="test", rate=0.01, burst=10).text
    assert [post(key, 6).status_code, post(key, 6).status_code, post(key, 4).status_code] == [200, 429, 200]
    age(10 / 0.01)
    assert post(key, 30).status_code == 200
    age(20 / 0.01)
    assert post(key).status_code == 429
    age(1 / 0.01)
    assert [post(key).status_code, post(key).status_code] == [200, 429]


def test_a_burst_at_one_moment_gets_no_more_than_its_share(store: Store) -> None:
    """Requests that come side by side share one bucket, whatever their headers say and the cache forgets."""
    key = create_key("web", actor="test", rate=0.001, burst=7).text

    def send(number: int) -> int:
        cache.clear()
        try:
            return int(post(key, **{"x-forwarded-for": f"10.0.0.{number}"}).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(24)))
    assert sorted(answers) == [200] * 7 + [429] * 17
    assert Event.objects.count() == 7


def test_a_refused_request_costs_nothing(store: Store) -> None:
    """A request that is refused for its body takes nothing from the rate of its key."""
    key = create_key("web", actor="test", rate=0.001, burst=1).text
    assert Client().post(f"/durable/e/{key}", b"nonsense", content_type="text/plain").status_code == 400
    assert [post(key).status_code, post(key).status_code] == [200, 429]


def test_a_body_is_not_read_for_a_key_that_may_send_nothing(store: Store) -> None:
    """While the rate is used up, even a body that is not JSON is answered with 429."""
    key = create_key("web", actor="test", rate=0.001, burst=1).text
    assert post(key).status_code == 200
    assert Client().post(f"/durable/e/{key}", b"nonsense", content_type="text/plain").status_code == 429


def test_a_successor_has_the_rate(store: Store) -> None:
    """Rotation keeps rate and burst; another key has a bucket of its own."""
    from datetime import timedelta

    first = create_key("web", actor="test", rate=0.001, burst=1)
    assert post(first.text).status_code == 200
    second = rotate_key("web", actor="test", overlap=timedelta(days=1))
    assert (second.key.rate, second.key.burst) == (0.001, 1)
    assert [post(second.text).status_code, post(second.text).status_code] == [200, 429]


@pytest.mark.parametrize(
    ("rate", "burst"), [(0.0, None), (-1.0, None), (float("nan"), None), (1e9, None), (1.0, 0), (None, 5)]
)
def test_rates_that_cannot_be(store: Store, rate: float | None, burst: int | None) -> None:
    """A rate or burst that would let in nothing, or anything, is refused when the key is made."""
    with pytest.raises(InvalidKey):
        create_key("web", actor="test", rate=rate, burst=burst)


def test_the_command_sets_a_rate(store: Store) -> None:
    """``durable keys create --rate 600/min`` is ten a second, with a burst of ten unless told."""
    run_durable("keys", "create", "web", "--rate", "600/min")
    made = AccessKey.objects.get()
    assert (made.rate, made.burst) == (10.0, 10)
    assert "10/s" in run_durable("keys", "list").out
    assert "not a rate" in run_durable("keys", "create", "x", "--rate", "600/week", fails=True).error


@pytest.fixture
def full(configure: Callable[..., None], store: Store) -> Any:
    """Two events wait to be routed, which is one more than may."""
    configure(EVENT_BACKLOG_LIMIT=1)
    Event.objects.using(store.alias).bulk_create(Event(name="a/b", ts=1) for _ in range(2))
    backlog.forget()
    yield
    backlog.forget()


def test_a_backlog_is_not_made_longer(full: None, store: Store) -> None:
    """While more events wait than may, new ones are refused, with a time to come again; then they are taken."""
    key = create_key("web", actor="test").text
    refused = post(key)
    assert (refused.status_code, refused["Retry-After"]) == (429, "1")
    assert "more than 1" in refused.json()["error"]
    assert Event.objects.count() == 2
    Event.objects.all().delete()
    backlog.forget()
    assert post(key).status_code == 200


def test_no_limit_of_the_backlog(full: None, store: Store, configure: Callable[..., None]) -> None:
    """None lets any number wait."""
    configure(EVENT_BACKLOG_LIMIT=None)
    assert post(create_key("web", actor="test").text).status_code == 200


def test_code_may_always_send(full: None, store: Store) -> None:
    """The backlog stops requests, not the project's own code, which could not wait."""
    from durable_django import send_event

    send_event("a/b")
    assert Event.objects.count() == 3


PREFLIGHT = {"origin": "https://shop.example", "access-control-request-method": "POST"}


@pytest.mark.parametrize("asked", ["content-type,x-inngest-sdk", "", "x" * 2_000])
def test_a_browser_may_ask_whether_it_may_send(store: Store, asked: str) -> None:
    """A preflight from any origin is answered without a key, with the headers that it asks for."""
    answer = Client().options(
        "/durable/e/unknown", headers={**PREFLIGHT, "access-control-request-headers": asked}
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer["Access-Control-Allow-Methods"]
    allowed = answer["Access-Control-Allow-Headers"]
    assert allowed == asked if 0 < len(asked) <= 1_000 else "X-Inngest-SDK" in allowed
    assert "Access-Control-Allow-Credentials" not in answer


def test_a_page_of_another_origin_can_read_the_answer(store: Store) -> None:
    """Answers and refusals alike are open to any origin, never with credentials."""
    key = create_key("web", actor="test").text
    for answer in (post(key, origin="https://shop.example"), post("wrong", origin="https://shop.example")):
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer


def test_only_the_event_door_is_open_to_pages(store: Store) -> None:
    """``/v1/`` answers no preflight: its keys do not belong into a browser."""
    answer = Client().options("/durable/v1/runs", headers=PREFLIGHT)
    assert answer.status_code in {401, 405}
    assert "Access-Control-Allow-Origin" not in answer
