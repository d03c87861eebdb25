"""step.ai: model calls as steps; what was asked and answered is kept, credentials never."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from durable_django import Anthropic, OpenAI, StepError
from durable_django.dispatch.local import Runner
from durable_django.exceptions import InvalidDefinition, RunFailed
from durable_django.models import Attempt, Run, RunResult, Step
from durable_django.testing import advance
from tests.answering import Server, serve
from tests.plugins.store import Store

SECRET = "sk-very-secret"
CHAT = {
    "model": "m-2026",
    "choices": [{"message": {"role": "assistant", "content": "Hi."}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2},
}
MESSAGE = {
    "model": "c-2026",
    "content": [{"type": "text", "text": "Hi"}, {"type": "thinking"}, {"type": "text", "text": "."}],
    "usage": {"input_tokens": 7, "output_tokens": 2},
}
ASKED = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as found:
        found.answers["/v1/chat/completions"] = [(200, {}, json.dumps(CHAT).encode())]
        found.answers["/v1/messages"] = [(200, {}, json.dumps(MESSAGE).encode())]
        yield found


def make_openai(server: Server, **options: Any) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", **{"api_key": SECRET, **options})


def make_anthropic(server: Server, **options: Any) -> Anthropic:
    return Anthropic(base_url=server.url, **{"api_key": SECRET, **options})


def ask(declare: Any, adapter: Any, **options: Any) -> Any:
    """Run a workflow that asks a model; return the answer, or the code and text of the error."""

    @declare(id="asks", retries=options.pop("retries", 0))
    def asks(ctx: Any) -> Any:
        try:
            return (yield ctx.step.ai.infer("ask", adapter=adapter, model="m", messages=ASKED, **options))
        except StepError as error:
            return [error.error_code, error.message]

    return asks.start().result(60)


def dump(store: Store) -> str:
    """Return all that is stored of all runs as one text."""
    tables = (Step, Attempt, RunResult, Run)
    return "".join(str(list(table.objects.using(store.alias).values())) for table in tables)


@pytest.mark.parametrize(
    ("make", "path", "header"),
    [
        (make_openai, "/v1/chat/completions", ("authorization", f"Bearer {SECRET}")),
        (make_anthropic, "/v1/messages", ("x-api-key", SECRET)),
    ],
)
def test_a_model_is_asked_in_its_providers_way(
    declare: Any, server: Server, store: Store, make: Callable[..., Any], path: str, header: tuple[str, str]
) -> None:
    """Body and key arrive as the provider wants; answer, request and tokens are kept, the key is not."""
    answer = ask(declare, make(server))
    got = server.got[0]
    assert (got.path, got.headers[header[0]]) == (path, header[1])
    assert (got.json["model"], got.json["messages"]) == ("m", ASKED)
    assert make(server).read_text(answer) == "Hi."
    step = Step.objects.using(store.alias).get()
    memo = json.loads(step.output or "")
    assert (step.kind, memo["usage"]) == ("infer", {"input_tokens": 7, "output_tokens": 2})
    assert memo["model"] == answer["model"]
    assert memo["request"] == {"url": server.url + path, "body": got.json}
    assert SECRET not in dump(store)


def test_replay_returns_the_stored_answer(declare: Any, server: Server) -> None:
    """A resumed run does not ask again."""

    @declare()
    def asks(ctx: Any) -> Any:
        first = yield ctx.step.ai.infer("ask", adapter=make_openai(server), model="m", messages=ASKED)
        yield ctx.step.sleep("nap", "1h")
        return first

    handle = asks.start()
    advance("2h")
    assert handle.result(0) == CHAT
    assert len(server.got) == 1


@pytest.mark.parametrize(
    ("status", "headers", "low", "high"),
    [
        (429, {"Retry-After": "600"}, 590, 601),
        (429, {"retry-after-ms": "90000"}, 85, 91),
        (503, {"Retry-After": "Fri, 01 Jan 2100 00:00:00 GMT"}, 80_000, 86_401),
        (500, {}, 10, 50),
        (529, {"Retry-After": "soon"}, 10, 50),
        (200, {}, 10, 50),
    ],
)
def test_a_busy_provider_is_asked_again(
    declare: Any, server: Server, store: Store, status: int, headers: dict[str, str], low: float, high: float
) -> None:
    """429, 5xx and answers that are no JSON are tried again, when the provider says or by the policy."""
    path = "/v1/chat/completions"
    server.answers[path] = [(status, headers, b"busy"), *server.answers[path]]

    @declare(retries=1)
    def asks(ctx: Any) -> Any:
        return (yield ctx.step.ai.infer("ask", adapter=make_openai(server), model="m", messages=ASKED))

    handle = asks.start()
    attempt = Attempt.objects.using(store.alias).get()
    assert attempt.retry_at is not None
    assert low <= (attempt.retry_at - attempt.ended_at).total_seconds() <= high
    advance("25h")
    assert handle.result(0) == CHAT
    assert server.got[0].headers["idempotency-key"] == server.got[1].headers["idempotency-key"]


def test_a_refusal_is_final_and_tells_no_secret(declare: Any, server: Server, store: Store) -> None:
    """Another 4xx ends the step with ai_refused; a key that the provider repeats is blotted out."""
    body = json.dumps({"error": {"message": f"Incorrect API key: {SECRET}"}}).encode()
    server.answers["/v1/chat/completions"] = [(401, {}, body)]
    code, message = ask(declare, make_openai(server), retries=3)
    assert code == "ai_refused"
    assert "Incorrect API key" in message
    assert SECRET not in message + dump(store)
    assert len(server.got) == 1


def test_where_the_key_comes_from(declare: Any, server: Server, configure: Any) -> None:
    """A function is asked at each call; without an argument the setting is; an empty key sends no header."""
    keys = iter(["one", "two"])

    @declare()
    def asks(ctx: Any) -> Any:
        for adapter in adapters:
            yield ctx.step.ai.infer("ask", adapter=adapter, model="m", messages=ASKED)

    turning = make_openai(server, api_key=lambda: next(keys))
    adapters = [turning, turning, make_openai(server, api_key=None), make_openai(server, api_key="")]
    configure(AI_KEYS={"openai": lambda: "from settings"})
    asks.start().result(60)
    sent = [got.headers.get("authorization") for got in server.got]
    assert sent == ["Bearer one", "Bearer two", "Bearer from settings", None]
    assert SECRET not in repr(make_openai(server, headers={"X-Key": SECRET}))


def test_only_the_origin_of_the_adapter_is_allowed(declare: Any, server: Server) -> None:
    """base_url is allowed as it stands; where the provider redirects to is neither asked nor believed."""
    server.answers["/v1/chat/completions"] = [(302, {"Location": "http://169.254.169.254/"}, b"")]
    assert ask(declare, make_openai(server))[0] == "ai_refused"
    with serve() as other:
        assert ask_fetch(declare, other.url)[0] == "fetch_refused"


def ask_fetch(declare: Any, url: str) -> Any:
    @declare(id="fetches", retries=0)
    def fetches(ctx: Any) -> Any:
        try:
            yield ctx.step.fetch("get", url)
        except StepError as error:
            return [error.error_code]

    return fetches.start().result(60)


@pytest.mark.parametrize("body", [{"stream": True}, {"x": object()}, {"x": float("nan")}])
def test_a_request_that_cannot_be_kept_fails_at_once(declare: Any, server: Server, body: Any) -> None:
    """Streams and values that are no JSON are refused before anything is sent."""

    @declare()
    def asks(ctx: Any) -> Any:
        yield ctx.step.ai.infer("ask", adapter=make_openai(server), body=body)

    with pytest.raises(RunFailed):
        asks.start().result(60)
    assert server.got == []


def test_an_adapter_without_a_url_is_refused() -> None:
    """base_url must be a URL, known where the adapter is made."""
    with pytest.raises(InvalidDefinition):
        OpenAI(base_url="api.example")


def test_a_wrapped_call_keeps_its_arguments(declare: Any, store: Store) -> None:
    """ai.wrap returns what the function returns and keeps what it was given, across replays."""
    calls: list[Any] = []

    def complete(prompt: str, *, temperature: float) -> dict[str, Any]:
        calls.append(prompt)
        return {"text": "Hi.", "at": temperature}

    @declare()
    def asks(ctx: Any) -> Any:
        found = yield ctx.step.ai.wrap("ask", complete, "Hello?", temperature=0.5)
        yield ctx.step.sleep("nap", "1h")
        return found

    handle = asks.start()
    advance("2h")
    assert handle.result(0) == {"text": "Hi.", "at": 0.5}
    assert calls == ["Hello?"]
    memo = json.loads(Step.objects.using(store.alias).get(kind="wrap").output or "")
    assert memo["input"] == {"args": ["Hello?"], "kwargs": {"temperature": 0.5}}


def test_arguments_that_cannot_be_kept_do_no_harm(declare: Any, store: Store) -> None:
    """A client object or a very long prompt is used, and the memo says why it is not kept."""

    @declare()
    def asks(ctx: Any) -> Any:
        yield ctx.step.ai.wrap("object", lambda client: 1, object())
        yield ctx.step.ai.wrap("long", len, "x" * 300_000)

    asks.start().result(60)
    memos = Step.objects.using(store.alias).values_list("output", flat=True)
    assert all("not_kept" in json.loads(memo or "")["input"] for memo in memos)


def test_no_slot_is_held_while_a_model_thinks(declare: Any, store: Store, configure: Any) -> None:
    """With one thread, another run goes on while a model takes its time."""
    configure(DISPATCHER="local", TICK_SECONDS=0.1)
    runner = Runner(store.alias, threads=1, tasks=2)

    @declare(id="asks")
    def asks(ctx: Any) -> Any:
        adapter = OpenAI(base_url=f"{server.url}/gate", api_key=SECRET)
        return (yield ctx.step.ai.infer("ask", adapter=adapter, model="m", messages=ASKED))

    @declare(id="works")
    def works(ctx: Any) -> Any:
        return (yield ctx.step.run("a", int))

    with serve() as server:
        server.held["/gate/chat/completions"] = json.dumps(CHAT).encode()
        runner.start()
        try:
            handle = asks.start()
            assert server.arrived.acquire(timeout=60)
            assert works.start().result(60) == 0
            server.gate.set()
            assert handle.result(60) == CHAT
        finally:
            runner.stop()
