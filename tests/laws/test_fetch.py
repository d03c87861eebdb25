"""step.fetch: durable HTTP within limits, which holds no slot while it waits."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from durable_django import workflow
from durable_django.dispatch.local import Runner
from durable_django.engine.errand import count_errands
from durable_django.exceptions import RunFailed
from durable_django.models import Attempt, Run, Step
from durable_django.testing import advance
from tests.answering import Server, serve
from tests.plugins.store import Store
from tests.waiting import wait_until


@pytest.fixture
def server(configure: Any) -> Iterator[Server]:
    """A server on the loopback address, which the setting allows."""
    configure(FETCH_ALLOW=["http", "127.0.0.1/32"])
    with serve() as found:
        yield found


def fetch(declare: Any, url: str, **options: Any) -> Any:
    """Run a workflow that fetches the URL; return what it gets, or the code and text of the error."""
    from durable_django import StepError

    @declare(id="fetches", retries=options.pop("retries", 0))
    def fetches(ctx: Any) -> Any:
        try:
            return (yield ctx.step.fetch("get", url, **options))
        except StepError as error:
            return [error.error_code, error.message]

    return fetches.start().result(60)


def test_any_status_is_a_result(declare: Any, server: Server, store: Store) -> None:
    """An answer of whatever status ends the step, with its headers and its body."""
    server.answers["/gone"] = [(410, {"X-Why": "moved", "Content-Type": "text/plain"}, b"no more")]
    found = fetch(declare, f"{server.url}/gone?a=1")
    assert (found["status_code"], found["body"], found["headers"]["x-why"]) == (410, "no more", "moved")
    assert found["url"] == f"{server.url}/gone?a=1"
    assert Step.objects.using(store.alias).get().kind == "fetch"


def test_an_answer_is_fetched_once(declare: Any, server: Server) -> None:
    """Replay returns the stored answer; the server sees one request."""

    @declare()
    def fetches(ctx: Any) -> Any:
        first = yield ctx.step.fetch("get", server.url)
        yield ctx.step.sleep("nap", "1h")
        return first["body"]

    handle = fetches.start()
    advance("2h")
    assert handle.result(0) == "hello"
    assert len(server.got) == 1


def test_what_is_sent(declare: Any, server: Server, store: Store) -> None:
    """Method, JSON and headers arrive; the key header is the same in each attempt; headers are not stored."""
    options = {"method": "POST", "json": {"a": [1]}, "headers": {"Authorization": "Bearer s3cret"}}
    fetch(declare, f"{server.url}/orders", key_header="Idempotency-Key", **options)
    got = server.got[0]
    assert (got.method, got.json, got.headers["content-type"]) == ("POST", {"a": [1]}, "application/json")
    assert got.headers["authorization"] == "Bearer s3cret"
    assert len(got.headers["idempotency-key"]) == 36
    assert "s3cret" not in str(Step.objects.using(store.alias).values())


def test_bytes_stay_bytes(declare: Any, server: Server) -> None:
    """A body that is no text comes back as bytes, one in another charset as text."""
    server.answers["/bytes"] = [(200, {}, b"\x89PNG\x00\xff")]
    server.answers["/latin"] = [(200, {"Content-Type": "text/plain; charset=iso-8859-1"}, b"caf\xe9")]
    found = []

    @declare()
    def fetches(ctx: Any) -> Any:
        for path in ("bytes", "latin"):
            found.append((yield ctx.step.fetch(path, f"{server.url}/{path}"))["body"])

    fetches.start().result(60)
    assert found == [b"\x89PNG\x00\xff", "café"]


def test_no_answer_is_tried_again(declare: Any, configure: Any, store: Store) -> None:
    """A refused connection is a failed attempt, retried by the policy of the step with the same key."""
    configure(FETCH_ALLOW=["http", "127.0.0.1"])
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

    @declare()
    def fetches(ctx: Any) -> Any:
        return (yield ctx.step.fetch("get", url, retries=1, backoff="1m"))

    handle = fetches.start()
    assert Run.objects.using(store.alias).get().waits_for == "retry"
    advance("2m")
    with pytest.raises(RunFailed):
        handle.result(0)
    assert [each.error_type for each in Attempt.objects.using(store.alias).all()] == ["FetchFailed"] * 2


def fetch_by_rules(url: str, entries: list[str], **options: Any) -> int:
    from durable_django.engine.http_exchange import Request, exchange
    from durable_django.engine.http_rules import read_rules

    return exchange(Request(url=url, timeout=5, max_bytes=1000, **options), read_rules(entries)).status


# --- redirects ------------------------------------------------------------------------------------


def test_a_redirect_is_a_result(declare: Any, server: Server) -> None:
    """By default no redirect is followed."""
    found = fetch(declare, f"{server.url}/redirect?to=/next")
    assert (found["status_code"], found["headers"]["location"]) == (302, "/next")
    assert len(server.got) == 1


def test_redirects_are_followed_as_often_as_said() -> None:
    """Each redirect counts, and the last answer is the result."""
    with serve() as server:
        entries = ["http", "127.0.0.1"]
        url = f"{server.url}/redirect?to=/redirect%3Fto=/end"
        assert fetch_by_rules(url, entries, redirects=1) == 302
        assert fetch_by_rules(url, entries, redirects=2) == 200
        fetch_by_rules(
            f"{server.url}/redirect?to=/end&status=303", entries, redirects=1, method="POST", body=b"x"
        )
        assert (server.got[-1].method, server.got[-1].body) == ("GET", b"")
        fetch_by_rules(
            f"{server.url}/redirect?to=/end&status=307", entries, redirects=1, method="POST", body=b"x"
        )
        assert (server.got[-1].method, server.got[-1].body) == ("POST", b"x")


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["drip", "drip-headers", "gate"])
def test_a_slow_answer_ends_at_the_deadline(declare: Any, server: Server, path: str) -> None:
    """The timeout covers the whole exchange, however steadily a server sends single bytes."""
    found = fetch(declare, f"{server.url}/{path}", timeout="150ms")
    assert found[0] == "fetch_failed"
    assert "TimeoutError" in found[1]


def test_an_endless_body_ends_at_the_limit(declare: Any, server: Server) -> None:
    """No more than max_bytes are read; a body of just that size is fine."""
    assert fetch(declare, f"{server.url}/endless", max_bytes=10_000, retries=3)[0] == "fetch_too_large"


def test_a_body_of_just_the_limit_passes() -> None:
    """max_bytes is the longest body that is taken."""
    from durable_django.engine.http_exchange import Request, exchange
    from durable_django.engine.http_rules import read_rules

    with serve() as server:
        rules = read_rules(["http", "127.0.0.1"])
        assert exchange(Request(url=server.url, timeout=5, max_bytes=5), rules).body == b"hello"
        with pytest.raises(Exception, match="fetch_too_large"):
            exchange(Request(url=server.url, timeout=5, max_bytes=4), rules)


def test_a_truncated_answer_is_no_answer(declare: Any, server: Server) -> None:
    """A body that ends before its announced length is a transport error, not a result."""
    assert fetch(declare, f"{server.url}/short")[0] == "fetch_failed"


@pytest.mark.parametrize(
    "options",
    [{"json": object()}, {"body": 5}, {"body": "a", "json": 1}, {"redirects": -1}, {"max_bytes": "1"}],
)
def test_wrong_arguments_fail_at_once(declare: Any, server: Server, options: dict[str, Any]) -> None:
    """Arguments that cannot work fail the run with a code, without a request."""

    @declare()
    def fetches(ctx: Any) -> Any:
        yield ctx.step.fetch("get", server.url, **options)

    with pytest.raises(RunFailed) as caught:
        fetches.start().result(60)
    assert caught.value.details["told"]["code"] == "step_usage"
    assert server.got == []


# --- slots ----------------------------------------------------------------------------------------


@pytest.fixture
def runner(store: Store, configure: Any) -> Iterator[Runner]:
    """A worker with one thread for ``def`` runs and one task for ``async def`` runs."""
    configure(DISPATCHER="local", TICK_SECONDS=0.1, FETCH_ALLOW=["http", "127.0.0.1"])
    found = Runner(store.alias, threads=1, tasks=2)
    found.start()
    yield found
    found.stop()


def test_no_slot_is_held_while_an_answer_is_awaited(declare: Any, runner: Runner, store: Store) -> None:
    """With one thread, other runs go on while a fetch hangs, which then ends its own run."""

    @declare(id="waits")
    def waits(ctx: Any) -> Any:
        return (yield ctx.step.fetch("get", url))["body"]

    @declare(id="works")
    def works(ctx: Any) -> Any:
        return (yield ctx.step.run("a", int))

    with serve() as server:
        url = f"{server.url}/gate"
        handle = waits.start()
        assert server.arrived.acquire(timeout=60)
        assert works.start().result(60) == 0
        server.gate.set()
        assert handle.result(60) == "opened"
        assert len(server.got) == 1
    run = Run.objects.using(store.alias).get(id=handle.id)
    assert (run.crash_count, Attempt.objects.using(store.alias).count()) == (0, 0)
    wait_until(lambda: count_errands(store.alias) == 0)


def test_answers_of_parallel_branches_are_awaited_together(store: Store, runner: Runner) -> None:
    """Branches of a ``def`` workflow that fetch all wait at the same time, each asked once."""
    together = threading.Barrier(3)

    @workflow(id="many")
    def many(ctx: Any) -> Any:
        ctx.step.run("first", int)
        found = ctx.group.parallel(
            [lambda n=n: ctx.step.fetch("get", f"{server.url}/meet?n={n}") for n in range(3)]
        )
        return [each["body"] for each in found]

    with serve() as server:
        server.together = together
        assert many.start().result(60) == ["0", "1", "2"]
        assert sorted(each.path for each in server.got) == [f"/meet?n={n}" for n in range(3)]


def test_a_failed_errand_is_retried_and_caught(declare: Any, runner: Runner, store: Store) -> None:
    """An errand that fails is retried like any step; its last error reaches the workflow."""
    from durable_django import StepError

    @declare()
    def tries(ctx: Any) -> Any:
        try:
            yield ctx.step.fetch("get", f"{server.url}/short", retries=1, backoff="1s")
        except StepError as error:
            return error.error_code

    with serve() as server:
        assert tries.start().result(60) == "fetch_failed"
        assert len(server.got) == 2
    assert Attempt.objects.using(store.alias).count() == 2


def test_a_cancelled_run_drops_its_answer(declare: Any, runner: Runner, store: Store) -> None:
    """What an errand of a cancelled run brings back is refused by the fence."""
    from durable_django.engine.operations import cancel_run

    @declare()
    def waits(ctx: Any) -> Any:
        yield ctx.step.fetch("get", f"{server.url}/gate")

    with serve() as server:
        handle = waits.start()
        assert server.arrived.acquire(timeout=60)
        cancel_run(handle.id, actor="test", reason="")
        server.gate.set()
        wait_until(lambda: count_errands(store.alias) == 0)
    assert handle.status == "cancelled"
    assert not Step.objects.using(store.alias).filter(status="completed").exists()


def test_the_memo_is_json(declare: Any, server: Server, store: Store) -> None:
    """What is stored is exactly what the workflow gets."""
    found = fetch(declare, server.url)
    stored = json.loads(Step.objects.using(store.alias).get().output or "")
    assert stored == found
