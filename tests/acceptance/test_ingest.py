from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from django.test import AsyncClient, Client

from durable_django import clock, workflow
from durable_django.checks import check_doors
from durable_django.engine.codec import decode
from durable_django.engine.keys import create_key
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
