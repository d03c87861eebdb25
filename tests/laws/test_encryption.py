"""Encryption at rest: nothing readable in the store, everything readable to those who may."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connections

from durable_django import Event, send_event
from durable_django.contrib.encryption import EncryptionHook
from durable_django.define.ai import OpenAI
from durable_django.define.hooks import Place
from durable_django.define.waits import EventWait, SignalWait
from durable_django.engine.reveal import reveal_event, reveal_output, reveal_step
from durable_django.engine.send_signal import send_signal
from durable_django.exceptions import (
    RunFailed,
)
from durable_django.models import Attempt, Run, Step, StepKind, Wait
from durable_django.models import Event as StoredEvent
from durable_django.testing import advance, drain
from tests.answering import serve
from tests.plugins.store import Store
from tests.waiting import wait_until

Declare = Callable[..., Any]
Configure = Callable[..., None]
CANARY = "canary-8813"
OLD, NEW = Fernet.generate_key(), Fernet.generate_key()
RICH = {
    "at": dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC),
    "price": decimal.Decimal("1.10"),
    "id": uuid.UUID(int=7),
    "list": [1, None, "ü"],
}


def dump(store: Store) -> str:
    """Return every value of every table of ours as text."""
    connection = connections[store.alias]
    found = []
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            if name.startswith("durable_django_"):
                cursor.execute(f'SELECT * FROM "{name}"')
                found += cursor.fetchall()
    return repr(found)


def fail_once(seen: list[int]) -> None:
    seen.append(1)
    if len(seen) == 1:
        raise ValueError("not yet")


def test_no_payload_is_readable_in_the_store(store: Store, declare: Declare, configure: Configure) -> None:
    """Input, outputs of steps, answers, sent events and the result: none stands in any table in the clear."""
    configure(HOOKS=[EncryptionHook([NEW])])
    seen: list[int] = []

    @declare()
    def secretive(ctx: Any) -> Any:
        assert ctx.event.data["secret"] == f"{CANARY}-input"
        plain = yield ctx.step.run("plain", lambda: f"{CANARY}-output")
        atomic = yield ctx.step.run("atomic", lambda: f"{CANARY}-atomic", atomic=True)
        yield ctx.step.run("flaky", fail_once, seen)
        yield ctx.step.send_event("tell", Event("app/told", {"x": f"{CANARY}-sent"}))
        answer = yield ctx.step.wait_for_event("answer", event="app/answer", timeout="1d")
        return [plain, atomic, answer.data["y"], f"{CANARY}-result"]

    handle = secretive.start({"secret": f"{CANARY}-input"})
    drain()
    advance("5m")
    send_event("app/answer", {"y": f"{CANARY}-answer"})
    drain()
    expected = [f"{CANARY}-output", f"{CANARY}-atomic", f"{CANARY}-answer", f"{CANARY}-result"]
    assert handle.result(60) == expected
    assert Attempt.objects.using(store.alias).count() == 1
    assert CANARY not in dump(store)


def test_every_kind_of_step_hides_what_it_brings(
    store: Store, declare: Declare, configure: Configure
) -> None:
    """Children, signals, several waits, model calls, HTTP answers: hidden at rest, readable in the run."""
    configure(HOOKS=[EncryptionHook([NEW])], FETCH_ALLOW=["http", "127.0.0.1/32"])
    tool_kinds = {"run", "sleep", "event", "signal", "any", "all", "send", "invoke", "fetch", "infer", "wrap"}
    assert tool_kinds == set(StepKind.values), "a new kind of step: show here that it hides its output"

    @declare()
    def child(ctx: Any) -> Any:
        return f"{ctx.event.data['x']}-child"
        yield

    @declare()
    def every(ctx: Any) -> Any:
        got = [(yield ctx.step.invoke("child", function=child, data={"x": f"{CANARY}-in"}))]
        got.append((yield ctx.step.ai.wrap("wrap", lambda text: f"{text}-wrapped", f"{CANARY}-ask")))
        got.append((yield ctx.step.fetch("fetch", server.url))["body"])
        model = OpenAI(base_url=server.url, api_key="k")
        got.append((yield ctx.step.ai.infer("infer", adapter=model, body={"model": "m", "messages": []})))
        got.append((yield ctx.step.wait_for_signal("signal", signal="sig", timeout="1d"))["data"])
        waits = [SignalWait(signal="sig-any"), EventWait(event="app/other")]
        got.append((yield ctx.step.wait_for_any("any", waits, timeout="1d"))[1]["data"])
        waits = [EventWait(event="app/one"), SignalWait(signal="sig-all")]
        one, two = yield ctx.step.wait_for_all("all", waits, timeout="1d")
        return [*got, one.data["x"], two["data"]]

    with serve() as server:
        server.answers["/"] = [(200, {"Content-Type": "text/plain"}, f"{CANARY}-http".encode())]
        answer = json.dumps({"said": f"{CANARY}-model"}).encode()
        server.answers["/chat/completions"] = [(200, {"Content-Type": "application/json"}, answer)]
        handle = every.start()
        wait_until(lambda: drain() or handle.status == "waiting" and open_signals(store) == 1, what="a wait")
    for name in ("sig", "sig-any"):
        send_signal(name, f"{CANARY}-{name}")
        drain()
    send_event("app/one", {"x": f"{CANARY}-one"})
    send_signal("sig-all", f"{CANARY}-sig-all")
    drain()
    result = handle.result(60)
    assert [each["said"] if isinstance(each, dict) else each for each in result] == [
        f"{CANARY}-in-child",
        f"{CANARY}-ask-wrapped",
        f"{CANARY}-http",
        f"{CANARY}-model",
        f"{CANARY}-sig",
        f"{CANARY}-sig-any",
        f"{CANARY}-one",
        f"{CANARY}-sig-all",
    ]
    assert CANARY not in dump(store)


def open_signals(store: Store) -> int:
    return int(Wait.objects.using(store.alias).filter(status="open").count())


def test_a_handler_sees_the_event_and_the_result_of_the_run_that_ended(
    store: Store, declare: Declare, kind: str
) -> None:
    """on_failure has the hooks of its workflow; what the engine itself writes into the event stays clear."""
    seen: list[Any] = []

    def note(ctx: Any) -> None:
        seen.append(ctx.event.data)

    async def anote(ctx: Any) -> None:
        seen.append(ctx.event.data)

    @declare(
        hooks=[EncryptionHook([NEW], strict=True)], retries=0, on_failure=note if kind == "def" else anote
    )
    def doomed(ctx: Any) -> Any:
        raise ValueError("no")
        yield

    doomed.start({"x": CANARY})
    drain()
    assert [(data["workflow"], data["event"]["data"]) for data in seen] == [("doomed", {"x": CANARY})]
    assert CANARY not in dump(store)


def test_every_type_comes_back_as_itself(store: Store, declare: Declare) -> None:
    """Encryption takes what the codec takes, from the first execution on as in a replay."""

    @declare(hooks=[EncryptionHook([NEW])])
    def rich(ctx: Any) -> Any:
        first = yield ctx.step.run("rich", lambda: RICH)
        yield ctx.step.sleep("nap", "1h")
        return [first, (yield ctx.step.run("same", lambda: first == RICH))]

    handle = rich.start(RICH)
    drain()
    advance("2h")
    assert handle.result(60) == [RICH, True]


def test_one_field_of_events_can_be_encrypted_while_others_stay_clear_for_matching(
    store: Store, declare: Declare, configure: Configure
) -> None:
    """Conditions see the fields that are clear; the encrypted one reaches the workflow decrypted."""
    configure(HOOKS=[EncryptionHook([NEW], events="data.encrypted")])

    @declare(trigger="app/order")
    def matched(ctx: Any) -> Any:
        answer = yield ctx.step.wait_for_event("paid", event="app/paid", match="data.order", timeout="1h")
        return [ctx.event.data["encrypted"], answer.data["encrypted"]]

    send_event("app/order", {"order": 7, "encrypted": {"card": f"{CANARY}-card"}})
    drain()
    send_event("app/paid", {"order": 8, "encrypted": "not for us"})
    send_event("app/paid", {"order": 7, "encrypted": f"{CANARY}-paid"})
    drain()
    run = Run.objects.using(store.alias).get()
    assert run.status == "completed"
    assert reveal_output(run) == [{"card": f"{CANARY}-card"}, f"{CANARY}-paid"]
    assert CANARY not in dump(store)


def test_a_condition_cannot_see_what_is_encrypted(
    store: Store, declare: Declare, configure: Configure
) -> None:
    """A match on an encrypted field is refused with a code, and no bound value leaks it into the wait."""
    configure(HOOKS=[EncryptionHook([NEW])])

    @declare()
    def blind(ctx: Any) -> Any:
        yield ctx.step.wait_for_event("paid", event="app/paid", match="data.order", timeout="1h")

    handle = blind.start({"order": CANARY})
    drain()
    with pytest.raises(RunFailed) as caught:
        handle.result(60)
    assert caught.value.details["told"]["code"] == "match_unbound"
    assert not Wait.objects.using(store.alias).exists()
    assert CANARY not in dump(store)


def test_what_was_stored_before_encryption_is_read_unless_strict(
    store: Store, declare: Declare, configure: Configure
) -> None:
    """Encryption may be switched on while runs live; strict refuses text in the clear afterwards."""
    configure(HOOKS=[])

    @declare()
    def earlier(ctx: Any) -> Any:
        first = yield ctx.step.run("first", lambda: "one")
        yield ctx.step.sleep("nap", "1h")
        return [ctx.event.data["n"], first]

    lenient, refused = earlier.start({"n": 1}), earlier.start({"n": 2})
    drain()
    runs = Run.objects.using(store.alias)
    runs.filter(id=refused.id).update(wake_at=dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
    configure(HOOKS=[EncryptionHook([NEW])])
    advance("2h")
    assert lenient.result(60) == [1, "one"]
    configure(HOOKS=[EncryptionHook([NEW], strict=True)])
    runs.filter(id=refused.id).update(wake_at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    drain()
    with pytest.raises(RunFailed, match="PayloadMisplaced"):
        refused.result(60)


def test_people_are_shown_decrypted_and_masked_values(
    store: Store, declare: Declare, configure: Configure
) -> None:
    """Reveal goes through the hooks, masks fields, and without the key says so instead of raising."""
    configure(HOOKS=[EncryptionHook([NEW])])

    @declare()
    def shown(ctx: Any) -> Any:
        yield ctx.step.run("login", lambda: {"user": "ann", "password": CANARY})

    shown.start({"token": CANARY, "n": 1})
    drain()
    step = Step.objects.using(store.alias).get()
    event = StoredEvent.objects.using(store.alias).get()
    assert reveal_step(step, "shown") == {"user": "ann", "password": "[redacted]"}
    assert reveal_event(event) == {"token": "[redacted]", "n": 1}
    configure(HOOKS=[EncryptionHook([OLD])])
    assert reveal_step(step, "shown") == "[withheld] payload_unreadable"


def test_equal_values_have_different_ciphertexts() -> None:
    """Whoever reads the store cannot tell which values are equal."""
    hook, place = EncryptionHook(lambda: [NEW]), Place("run", "run", "one")
    assert hook.encode_output(1, place) != hook.encode_output(1, place)
