from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.db import connections
from django.test import AsyncClient, Client

from durable_django import clock, workflow
from durable_django.checks import check_doors
from durable_django.engine.codec import decode
from durable_django.engine.keys import create_key, revoke_key
from durable_django.engine.sweep import sweep
from durable_django.models import AuditEntry, Event, Run, RunStatus
from tests.plugins.store import Store

SEED = "1700000000000,AAECAwQFBgcICQ=="
SEEDED = {"x-inngest-event-id-seed": SEED}


@pytest.fixture(autouse=True)
def real_time() -> Iterator[None]:
    """Take back the time that a test let pass."""
    yield
    clock.reset()


@pytest.fixture
def key(store: Store) -> str:
    return create_key("web", actor="test").text


@pytest.fixture
def post(key: str) -> Callable[..., Any]:
    """Send a body as Inngest's clients do; return the answer."""

    def send(body: Any, *, key: str = key, **headers: str) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        client = Client(enforce_csrf_checks=True)
        return client.post(f"/durable/e/{key}", content, content_type="application/json", headers=headers)

    return send


def assert_refused(answer: Any, status: int, *words: str) -> None:
    said = answer.json()
    assert (answer.status_code, said["status"], said["ids"]) == (status, status, [])
    assert said.keys() == {"ids", "status", "error"}
    assert all(word in said["error"] for word in words), said["error"]
    assert Event.objects.count() == 0


def test_one_event(post: Callable[..., Any]) -> None:
    """An object is stored as it was sent, without the reserved field, and answered with its id."""
    answer = post(
        {"name": "a/b", "data": {"n": 1, "_inngest": {"x": 1}}, "id": "mine", "ts": 1_700_000_000_000}
    )
    event = Event.objects.get()
    assert answer.json() == {"ids": [str(event.id)], "status": 200}
    assert (event.name, event.external_id, event.ts, event.source) == (
        "a/b",
        "mine",
        1_700_000_000_000,
        "api",
    )
    assert decode(event.data) == {"n": 1}


def test_ids_are_in_request_order(post: Callable[..., Any]) -> None:
    """Each id of the answer is that of the event at the same place."""
    answer = post([{"name": "a/b", "data": {"n": n}} for n in range(50)])
    stored = {str(event.id): decode(event.data)["n"] for event in Event.objects.all()}
    assert [stored[id] for id in answer.json()["ids"]] == list(range(50))


def test_empty_array(post: Callable[..., Any]) -> None:
    """No events give no ids."""
    assert post([]).json() == {"ids": [], "status": 200}


def test_missing_and_null_fields(post: Callable[..., Any]) -> None:
    """``data`` null or missing is empty, ``ts`` 0 now, ``id`` empty is none, further fields are ignored."""
    bodies = [{"name": "a/b"}, {"name": "a/b", "data": None, "id": "", "ts": 0, "user": None, "more": [1]}]
    assert post(bodies).status_code == 200
    assert {(event.data, event.external_id) for event in Event.objects.all()} == {("{}", None)}
    assert all(event.ts > 1_700_000_000_000 for event in Event.objects.all())


def test_an_event_starts_its_workflow(post: Callable[..., Any]) -> None:
    """What was answered is routed: the run has the event's data."""

    @workflow(id="listener", trigger="a/b")
    def listener(ctx: Any) -> Any:
        return ctx.event.data["n"]

    assert post({"name": "a/b", "data": {"n": 7}}).status_code == 200
    run = Run.objects.select_related("result").get()
    assert (run.status, run.result.output) == (RunStatus.COMPLETED, "7")


def test_future_event_waits(post: Callable[..., Any]) -> None:
    """A run whose event lies in the future begins then."""

    @workflow(id="later", trigger="a/b")
    def later(ctx: Any) -> None: ...

    post({"name": "a/b", "ts": 4_000_000_000_000})
    run = Run.objects.get()
    assert (run.status, run.waits_for) == (RunStatus.WAITING, "start")


def test_seed_makes_a_repeated_request_harmless(post: Callable[..., Any]) -> None:
    """The same request under the same seed gives the same ids, and is stored and run once."""

    @workflow(id="listener", trigger="a/b")
    def listener(ctx: Any) -> None: ...

    body = [{"name": "a/b", "data": {"n": n}} for n in range(3)]
    first, second = (post(body, **SEEDED).json() for _ in range(2))
    assert first == second
    assert len(set(first["ids"])) == Event.objects.count() == Run.objects.count() == 3


def test_seed_of_another_request_loses_nothing(post: Callable[..., Any]) -> None:
    """Other events under a seed that was used before are stored all the same."""
    for n in range(2):
        assert post({"name": "a/b", "data": {"n": n}}, **SEEDED).status_code == 200
    assert Event.objects.count() == 2


@pytest.mark.parametrize(
    "seed", ["", "nonsense", "1,!!", "-1,AAECAwQFBgcICQ==", "9" * 15 + ",AAECAwQFBgcICQ==", "1,AA=="]
)
def test_bad_seed_is_none(post: Callable[..., Any], seed: str) -> None:
    """A seed that cannot be read gives ids as if there were none."""
    ids = [post({"name": "a/b"}, **{"x-inngest-event-id-seed": seed}).json()["ids"][0] for _ in range(2)]
    assert len(set(ids)) == Event.objects.count() == 2


# --- refusals -------------------------------------------------------------------------------------

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


# --- keys -----------------------------------------------------------------------------------------


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


# --- HTTP -----------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("query", ["?format=xml", "?_method=GET"])
def test_negotiation_is_left_out(post: Callable[..., Any], key: str, query: str) -> None:
    """Neither Accept nor ``format`` nor Content-Type changes what is done."""
    answer = Client().post(
        f"/durable/e/{key}{query}",
        b'{"name":"a/b"}',
        content_type="text/plain",
        headers={"accept": "text/html"},
    )
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("atomic", [True, False])
def test_committed_with_or_without_atomic_requests(
    post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    """ATOMIC_REQUESTS does not wrap the request: storing refuses to happen inside another transaction."""
    for alias in connections:
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", atomic)
    assert post({"name": "a/b"}).status_code == 200
    assert Event.objects.count() == 1


def test_a_dead_dispatcher_never_shows(post: Callable[..., Any], configure: Callable[..., None]) -> None:
    """Events are answered with 200 although nobody can be told of their runs."""

    @workflow(id="listener", trigger="a/b")
    def listener(ctx: Any) -> None: ...

    configure(DISPATCHER="tests.quiet.Broken")
    assert post({"name": "a/b"}).status_code == 200
    assert Run.objects.get().status == RunStatus.QUEUED


def test_our_own_faults_are_a_number(
    post: Callable[..., Any], store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that fails is 503 with a number that the log has too, and no word of SQL."""
    with store.connection.cursor() as cursor:
        cursor.execute("ALTER TABLE durable_django_event RENAME TO hidden_event")
    try:
        answer = post({"name": "a/b"})
    finally:
        with store.connection.cursor() as cursor:
            cursor.execute("ALTER TABLE hidden_event RENAME TO durable_django_event")
    assert_refused(answer, 503, "request ")
    number = answer.json()["error"].split()[-1]
    assert [record for record in caplog.records if getattr(record, "request_id", "") == number]
    assert "durable_django_event" not in answer.content.decode()
    assert answer["Retry-After"] == "1"


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


def test_a_large_batch_is_left_to_the_tick(
    post: Callable[..., Any], store: Store, configure: Callable[..., None]
) -> None:
    """All of a large batch is stored; the first are routed at once, the others by the sweep."""
    configure(DISPATCHER="tests.quiet.Quiet", TICK_BATCH=50)

    @workflow(id="listener", trigger="a/b")
    def listener(ctx: Any) -> None: ...

    assert len(post([{"name": "a/b"}] * 350).json()["ids"]) == Event.objects.count() == 350
    assert Run.objects.count() == 100
    clock.travel(timedelta(seconds=5))
    sweep(store.alias)
    assert Run.objects.count() == 350


def test_making_and_revoking_keys_is_logged(key: str) -> None:
    """The operator log knows who made which key, and not the key."""
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action) == ("test", "create key")
    assert key[:15] in entry.result
    assert key[15:] not in entry.result


def test_w006_an_open_door(configure: Callable[..., None], settings: Any) -> None:
    """Taking events without keys in production is reported by ``check --deploy``."""
    assert check_doors() == []
    configure(REQUIRE_EVENT_KEYS=False)
    assert [message.id for message in check_doors()] == ["durable_django.W006"]
    settings.DEBUG = True
    assert check_doors() == []


def test_asgi(key: str) -> None:
    """Under ASGI the same is taken and refused."""
    post = async_to_sync(AsyncClient().post)
    body = {"content_type": "application/json"}
    assert post(f"/durable/e/{key}", b'[{"name": "a/b"}]', **body).status_code == 200
    assert post(f"/durable/e/{key}", b'[{"name": ""}]', **body).status_code == 400
    assert Event.objects.count() == 1


def test_the_log_never_has_the_key(
    post: Callable[..., Any], key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused request leaves no line with its path, in which the key stands."""
    caplog.set_level("DEBUG")
    assert post(b"{").status_code == 400
    assert post([], key="dk_wrong").status_code == 401
    assert key not in caplog.text
    assert "dk_wrong" not in caplog.text


@pytest.mark.process
def test_a_request_repeated_at_the_same_time_is_stored_once(store: Store, post: Callable[..., Any]) -> None:
    """Repetitions that overlap get the same ids, and the events are stored once."""

    def send(number: int) -> Any:
        try:
            return post([{"name": "a/b", "data": {"n": n}} for n in range(20)], **SEEDED).json()["ids"]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(12)))
    assert all(ids == answers[0] for ids in answers)
    assert Event.objects.count() == 20
