"""step.fetch: durable HTTP that reaches public addresses only, within limits, and holds no slot."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_django import workflow
from durable_django.dispatch.local import Runner
from durable_django.engine.errand import count_errands
from durable_django.engine.http_address import is_public
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

    return fetches.start().result(10)


def lead_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let name servers give one answer after the other; return the list of names they were asked for."""
    asked: list[str] = []
    left = list(answers)

    def look_up(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        families = [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in found]
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in families]

    real = socket.getaddrinfo

    def only_names(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        numeric = isinstance(host, str) and (":" in host or host.replace(".", "").isdigit())
        return real(host, port, *args, **kwargs) if numeric else look_up(host, port)

    monkeypatch.setattr(socket, "getaddrinfo", only_names)
    return asked


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

    fetches.start().result(10)
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


# --- where requests may go ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1%25lo]/",
        "http://0.0.0.0/",
        "http://0/",
        "http://127.0.0.2/",
        "http://10.0.0.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://192.168.1.1/",
        "http://198.18.0.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://localhost./",
        "http://public.example@127.0.0.2/",
        "http://127.0.0.1:0/",
        "http:///path",
        "http://a b/",
        "http://a\n.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "//127.0.0.1/",
        "",
        None,
    ],
)
def test_addresses_that_are_not_public_are_refused(configure: Any, store: Store, url: Any) -> None:
    """No notation of a private, loopback, link-local, shared, multicast or reserved address is asked."""
    configure(FETCH_ALLOW=["http"])

    @workflow(id="fetches", retries=3)
    def fetches(ctx: Any) -> Any:
        ctx.step.fetch("get", url)

    with pytest.raises(RunFailed) as caught:
        fetches.start().result(10)
    assert caught.value.details["told"]["code"] == "fetch_refused"


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_what_is_allowed_is_allowed_exactly(declare: Any, configure: Any) -> None:
    """The loopback address is reached if its block is allowed, but not in another notation."""
    configure(FETCH_ALLOW=["http", "127.0.0.0/8"])
    with serve() as server:
        assert fetch(declare, server.url)["body"] == "hello"
    for host in ("2130706433", "[::ffff:127.0.0.1]"):
        assert fetch_again(host, server.port) == "fetch_refused"


def fetch_again(host: str, port: int) -> str:
    from durable_django.engine.http_exchange import Request, exchange
    from durable_django.engine.http_rules import read_rules
    from durable_django.exceptions import FetchRefused

    request = Request(url=f"http://{host}:{port}/", timeout=5, max_bytes=10)
    with pytest.raises(FetchRefused) as caught:
        exchange(request, read_rules(["http", "127.0.0.0/8"]))
    return caught.value.code


def test_http_needs_permission(declare: Any, configure: Any) -> None:
    """Without a word in FETCH_ALLOW only https is spoken; an allowed origin is that origin alone."""
    with serve() as server, serve() as other:
        configure(FETCH_ALLOW=["127.0.0.1"])
        assert fetch(declare, server.url)[0] == "fetch_refused"
        configure(FETCH_ALLOW=[server.url])
        assert fetch_by_rules(server.url, [server.url]) == 200
        with pytest.raises(Exception, match="plain http"):
            fetch_by_rules(other.url, [server.url])


def fetch_by_rules(url: str, entries: list[str], **options: Any) -> int:
    from durable_django.engine.http_exchange import Request, exchange
    from durable_django.engine.http_rules import read_rules

    return exchange(Request(url=url, timeout=5, max_bytes=1000, **options), read_rules(entries)).status


def test_a_name_that_changes_its_mind_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host is resolved once, and the address that was checked is asked (DNS rebinding)."""
    with serve("127.0.0.2") as good:
        asked = lead_to(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
        entries = ["http", "127.0.0.2"]
        assert fetch_by_rules(f"http://rebinding.example:{good.port}/", entries) == 200
        assert asked == ["rebinding.example"]
        assert good.got[0].headers["host"] == f"rebinding.example:{good.port}"
        with pytest.raises(Exception, match="not public"):
            fetch_by_rules(f"http://rebinding.example:{good.port}/", entries)


@pytest.mark.parametrize("bad", ["169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"])
def test_every_address_of_a_name_is_checked(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    """One address among several that is not public refuses the request."""
    with serve("127.0.0.2") as good:
        lead_to(monkeypatch, ["127.0.0.2", bad])
        with pytest.raises(Exception, match="not public"):
            fetch_by_rules(f"http://mixed.example:{good.port}/", ["http", "127.0.0.2"])
        assert good.got == []


def test_a_trusted_host_may_be_private_but_never_link_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host in FETCH_ALLOW may lead to private addresses, not to a cloud's metadata."""
    with serve() as server:
        lead_to(monkeypatch, ["127.0.0.1"])
        assert fetch_by_rules(f"http://api.internal:{server.port}/", ["http", "*.internal"]) == 200
        with pytest.raises(Exception, match="not public"):
            fetch_by_rules(f"http://api.internal.example:{server.port}/", ["http", "*.internal"])
        lead_to(monkeypatch, ["169.254.169.254"])
        with pytest.raises(Exception, match="not public"):
            fetch_by_rules("http://api.internal/", ["http", "*.internal"])


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """http_proxy has no say: a proxy would resolve the name again."""
    with serve() as server, serve() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert fetch_by_rules(server.url, ["http", "127.0.0.1"]) == 200
        assert proxy.got == []


def test_public_addresses() -> None:
    """What IANA gave to the public is public, of both kinds."""
    from ipaddress import ip_address

    assert all(
        map(is_public, map(ip_address, ("1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450::1")))
    )


# --- redirects ------------------------------------------------------------------------------------


def test_a_redirect_is_a_result(declare: Any, server: Server) -> None:
    """By default no redirect is followed."""
    found = fetch(declare, f"{server.url}/redirect?to=/next")
    assert (found["status_code"], found["headers"]["location"]) == (302, "/next")
    assert len(server.got) == 1


@pytest.mark.parametrize(
    "to",
    [
        "http://169.254.169.254/latest/",
        "http://2130706433/",
        "http://[::1]/",
        "file:///etc/passwd",
        "//10.0.0.1/",
    ],
)
def test_a_redirect_is_checked_like_a_url(declare: Any, server: Server, to: str) -> None:
    """A redirect to an address that is not public is refused, also if redirects are followed."""
    assert fetch(declare, f"{server.url}/redirect?to={to}", redirects=3)[0] == "fetch_refused"


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


def test_credentials_stay_with_their_host() -> None:
    """Another origin gets no header that may be a credential, and no body."""
    entries = ["http", "127.0.0.1"]
    headers = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Api-Key": "k", "Accept": "text/html"}
    with serve() as server, serve() as other:
        fetch_by_rules(f"{server.url}/redirect?to=/end", entries, redirects=1, headers=headers)
        assert server.got[-1].headers["authorization"] == "Bearer x"
        fetch_by_rules(f"{server.url}/redirect?to={other.url}/", entries, redirects=1, headers=headers)
        assert not {"authorization", "cookie", "x-api-key"} & set(other.got[0].headers)
        assert other.got[0].headers["accept"] == "text/html"
        moved = f"{server.url}/redirect?to={other.url}/&status=307"
        assert fetch_by_rules(moved, entries, redirects=1, method="POST", body=b"secret") == 307
        assert len(other.got) == 1


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
    [
        {"headers": {"Host": "other.example"}},
        {"headers": {"X-A": "b\r\nX-C: d"}},
        {"headers": {"X A": "b"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"X-A": 1}},
        {"method": "GET / HTTP/1.1\r\n"},
        {"method": "CONNECT"},
    ],
)
def test_requests_cannot_be_smuggled(declare: Any, server: Server, options: dict[str, Any]) -> None:
    """Headers and methods that would change the shape of the request are refused, and nothing is sent."""
    assert fetch(declare, server.url, **options)[0] == "fetch_refused"
    assert server.got == []


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
        fetches.start().result(5)
    assert caught.value.details["told"]["code"] == "step_usage"
    assert server.got == []


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for good.example with its key, signed by itself."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=good.example",
    ]
    command += [
        "-addext",
        "subjectAltName=DNS:good.example",
        "-keyout",
        str(path),
        "-out",
        str(path) + ".crt",
    ]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(str(path) + ".crt").read_text())
    return path


def test_the_certificate_is_checked_against_the_name(
    monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> None:
    """TLS is spoken with the name of the URL, not with the pinned address; another name is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names: list[Any] = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    with serve(tls=context) as server:
        lead_to(monkeypatch, ["127.0.0.1"])
        with pytest.raises(Exception, match=r"fetch_failed.*certificate"):
            fetch_by_rules(f"https://good.example:{server.port}/", ["127.0.0.1"])
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate) + ".crt")
        assert fetch_by_rules(f"https://good.example:{server.port}/", ["127.0.0.1"]) == 200
        assert names[-1] == "good.example"
        with pytest.raises(Exception, match=r"fetch_failed.*bad\.example"):
            fetch_by_rules(f"https://bad.example:{server.port}/", ["127.0.0.1"])


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
        assert server.arrived.acquire(timeout=10)
        assert works.start().result(10) == 0
        server.gate.set()
        assert handle.result(10) == "opened"
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
        assert many.start().result(15) == ["0", "1", "2"]
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
        assert tries.start().result(20) == "fetch_failed"
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
        assert server.arrived.acquire(timeout=10)
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
