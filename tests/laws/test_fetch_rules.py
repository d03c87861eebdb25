"""Where step.fetch may go: public addresses only, by name or redirect; credentials stay with their host."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from durable_django import workflow
from durable_django.engine.http_address import is_public
from durable_django.exceptions import RunFailed
from tests.answering import Server, serve
from tests.laws.test_fetch import fetch, fetch_by_rules, server
from tests.plugins.store import Store

__all__ = ["server"]  # the fixtures


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
        fetches.start().result(60)
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
