"""POST /e/<key>: which bodies, sizes and keys are refused, whole and with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from durable_django.engine.keys import create_key, revoke_key
from durable_django.models import Event
from tests.acceptance.test_ingest import assert_refused, key, post, real_time
from tests.plugins.store import Store

__all__ = ["key", "post", "real_time"]  # the fixtures


DEEP = b'{"name":"a/b","data":' + b'{"a":' * 2000 + b"1" + b"}" * 2001


MANY_KEYS = b'{"name":"a/b","data":{' + b",".join(b'"%x":0' % n for n in range(60_000)) + b"}}"


REFUSED: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty body": (b"", ("must contain an event object",)),
    "number": (b"5", ("must contain an event object", "line 1 column 1")),
    "string": (b'"a"', ("must contain an event object",)),
    "form": (b"name=a%2Fb&data=1", ("must contain an event object",)),
    "byte order mark": (b'\xef\xbb\xbf{"name":"a/b"}', ("byte order mark",)),
    "invalid": (b'{"name": "a/b",\n "data": {a}}', ("not valid JSON", "line 2 column 11")),
    "unfinished": (b'[{"name": "a/b"', ("events[0]", "not valid JSON", "line 1 column")),
    "unfinished array": (b'[{"name": "a/b"}', ("not valid JSON", "line 1 column 17")),
    "unfinished text": (b'[{"name": "a/b\\"\\"\\"', ("not valid JSON", "line 1")),
    "trailing comma": (b'[{"name": "a/b"},]', ("events[1]", "column 18")),
    "extra data": (b'{"name": "a/b"} {}', ("Extra data", "column 17")),
    "extra data after array": (b'[{"name": "a/b"}]]', ("Extra data", "column 18")),
    "element is a number": (b'[{"name": "a/b"}, 5]', ("events[1]", "object")),
    "element is an array": (b"[[]]", ("events[0]", "object")),
    "wrong brackets": (b'{"name": "a/b"]', ("not valid JSON",)),
    "not UTF-8": (b'{"name": "a/\xff"}', ("UTF-8", "12")),
    "gzip": (b"\x1f\x8b\x08\x00" + b"\x00" * 20, ("must contain an event object",)),
    "no name": (b'{"data": {}}', ("event name is empty",)),
    "name is empty": (b'[{"name": "a/b"}, {"name": ""}]', ("events[1]", "event name is empty")),
    "name is null": (b'{"name": null}', ("event name is empty",)),
    "reserved": (b'{"name": "durable/x"}', ("reserved for internal use",)),
    "reserved in any case": (b'{"name": "InnGest/x"}', ("reserved for internal use",)),
    "ts in 1979": (b'{"name": "a/b", "ts": 315532799999}', ("before Jan 1, 1980",)),
    "ts in 2100": (b'{"name": "a/b", "ts": 4102444800000}', ("after Jan 1, 2100",)),
    "ts in text": (b'{"name": "a/b", "ts": "1"}', ("ts is",)),
    "ts is true": (b'{"name": "a/b", "ts": true}', ("ts is",)),
    "data is a list": (b'{"name": "a/b", "data": []}', ("not an object",)),
    "data is text": (b'{"name": "a/b", "data": "x"}', ("not an object",)),
    "id is a number": (b'{"name": "a/b", "id": 5}', ("id is not text",)),
    "NUL": (b'{"name": "a/b", "data": {"a": ["\\u0000"]}}', ("$.data.a[0]", "NUL")),
    "NUL in a key": (b'{"name": "a/b", "data": {"\\u0000": 1}}', ("$.data", "NUL")),
    "raw NUL": (b'{"name": "a/\x00"}', ("not valid JSON", "column")),
    "lone surrogate": (b'{"name": "a/b", "data": {"a": "\\ud800"}}', ("$.data.a", "surrogate")),
    "lone surrogate in the name": (b'{"name": "\\uDC00"}', ("$.name", "surrogate")),
    "NaN": (b'{"name": "a/b", "data": {"a": NaN}}', ("$.data.a", "not a finite number")),
    "Infinity": (b'{"name": "a/b", "data": {"a": [-Infinity]}}', ("$.data.a[0]", "not a finite")),
    "1e999": (b'{"name": "a/b", "data": {"a": 1e999}}', ("$.data.a", "not a finite number")),
    "NaN in an ignored field": (b'{"name": "a/b", "x": NaN}', ("$.x", "not a finite number")),
    "5,000 digits": (b'{"name": "a/b", "data": {"a": ' + b"7" * 5_000 + b"}}", ("$.data.a", "digits")),
    "same key twice": (b'{"name": "a/b", "data": {"a": 1, "a": 2}}', ("'a'", "twice")),
    "depth": (DEEP, ("100 levels of nesting",)),
    "brackets": (b"[" + b'{"name":"a/b","data":{"a":' + b"[" * 100_000, ("levels of nesting",)),
    "keys": (MANY_KEYS, ("10000 keys",)),
    "quotes": (b'[{"a":"' + b'\\"' * 200_000, ("not valid JSON",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_bodies_are_refused(post: Callable[..., Any], name: str) -> None:
    """Each bad body is answered with 400 that says what and where, and nothing is stored."""
    body, words = REFUSED[name]
    assert_refused(post(body), 400, *words)


def test_one_bad_event_refuses_all(post: Callable[..., Any]) -> None:
    """All or nothing: the events before the bad one are not stored, and its index is told."""
    events: list[Any] = [{"name": "a/b"}] * 10
    assert_refused(post([*events, {"name": "a/b", "data": 1}, *events]), 400, "events[10]")


def test_event_over_the_size_limit(post: Callable[..., Any], configure: Callable[..., None]) -> None:
    """An event over EVENT_BYTES is refused with both numbers; one at the limit is not."""
    configure(EVENT_BYTES=1_000)
    frame = len(json.dumps({"name": "a/b", "data": {"x": ""}}))
    big = {"name": "a/b", "data": {"x": "x" * (1_001 - frame)}}
    assert_refused(post([big]), 400, "Max 1000", "Size 1001")
    assert_refused(post([{"name": "a/b", "data": {"x": "x" * 9_000}}]), 400, "Max 1000", "at least 4000")
    big["data"]["x"] = big["data"]["x"][1:]
    assert post([big]).status_code == 200


def test_too_many_events(post: Callable[..., Any], configure: Callable[..., None]) -> None:
    """One event over EVENTS_PER_REQUEST refuses the request; that many do not."""
    assert_refused(post([{"name": "a/b"}] * 5_001), 400, "Cannot have more than 5000 events in a batch")
    configure(EVENTS_PER_REQUEST=3)
    assert post([{"name": "a/b"}] * 3).status_code == 200


def test_request_over_the_limit(post: Callable[..., Any], configure: Callable[..., None]) -> None:
    """A body over REQUEST_BYTES is refused with both numbers."""
    configure(REQUEST_BYTES=1_000)
    assert_refused(post([{"name": "a/b", "data": {"x": "x" * 50}}] * 30), 400, "Max 1000 bytes", "Size ")


def test_compressed_bodies_are_refused(post: Callable[..., Any]) -> None:
    """A body that says it is compressed is not unpacked."""
    assert_refused(post({"name": "a/b"}, **{"content-encoding": "gzip"}), 400, "compressed")


def test_multipart_form(key: str) -> None:
    """A form is no event."""
    assert_refused(Client().post(f"/durable/e/{key}", {"name": "a/b"}), 400, "must contain an event")


def test_no_key_was_ever_made(store: Store) -> None:
    """Without any key the door is closed, and says that it is the server's fault."""
    answer = Client().post("/durable/e/any", b"{}", content_type="application/json")
    assert_refused(answer, 503, "Event keys are required to process events securely")


def test_wrong_keys_are_all_the_same(post: Callable[..., Any], key: str, store: Store) -> None:
    """Unknown, altered, revoked, expired and unfit keys get the same answer, and nothing is stored."""
    revoked = create_key("old", actor="test")
    revoke_key(revoked.key.prefix, actor="test")
    expired = create_key("short", actor="test", expires_in=timedelta(seconds=-1)).text
    elsewhere = create_key("net", actor="test", networks=["10.0.0.0/8"]).text
    other = "A" if key[-1] != "A" else "B"
    for wrong in (
        "",
        "x",
        key[:-1] + other,
        key + "x",
        key[:15],
        "k" * 5_000,
        "%00",
        revoked.text,
        expired,
        elsewhere,
    ):
        answer = post({"name": "a/b"}, key=wrong)
        assert answer.status_code == 401, wrong[:20]
        assert answer.json() == {"ids": [], "status": 401, "error": "Event key not found"}
    assert Event.objects.count() == 0


def test_scope_and_names_of_a_key(post: Callable[..., Any], store: Store) -> None:
    """A key sends only what it is for."""
    reader = create_key("reader", actor="test", scopes=["read", "operate"]).text
    assert_refused(post({"name": "a/b"}, key=reader), 403, "'ingest'")
    shop = create_key("shop", actor="test", event_patterns=["shop/*"]).text
    assert_refused(post([{"name": "shop/x"}, {"name": "a/b"}], key=shop), 403, "events[1]", "'a/b'")
    assert post([{"name": "shop/x"}], key=shop).status_code == 200


@pytest.mark.parametrize(
    ("required", "debug", "status"),
    [(None, True, 200), (None, False, 503), (False, False, 200), (True, True, 503)],
)
def test_keys_are_required_unless_debug(
    store: Store, configure: Callable[..., None], settings: Any, required: Any, debug: bool, status: int
) -> None:
    """REQUIRE_EVENT_KEYS decides; without it, DEBUG does."""
    settings.DEBUG = debug
    configure(REQUIRE_EVENT_KEYS=required)
    answer = Client().post("/durable/e/NO_EVENT_KEY_SET", b'{"name":"a/b"}', content_type="application/json")
    assert answer.status_code == status


def test_sessions_are_ignored(key: str, admin_client: Client) -> None:
    """A session neither helps without a key nor asks for a CSRF token with one."""
    headers = {"content_type": "application/json"}
    assert admin_client.post("/durable/e/wrong", b"[]", **headers).status_code == 401
    admin_client.handler.enforce_csrf_checks = True
    assert admin_client.post(f"/durable/e/{key}", b"[]", **headers).status_code == 200


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_other_methods(key: str, method: str) -> None:
    """All but POST, and a browser's preflight, are answered with 405."""
    answer = getattr(Client(), method)(f"/durable/e/{key}")
    assert_refused(answer, 405)
    assert "POST" in answer["Allow"]


def test_rates(post: Callable[..., Any], settings: Any) -> None:
    """Over the rate of the scope durable_events: 429 and when to come again; other keys are not affected."""
    cache.clear()
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"durable_events": "2/min"}}
    assert [post([]).status_code for _ in range(3)] == [200, 200, 429]
    answer = post([])
    assert answer.json()["ids"] == []
    assert 0 < int(answer["Retry-After"]) <= 61
    other = create_key("other", actor="test").text
    assert post([], key=other).status_code == 200
    cache.clear()
