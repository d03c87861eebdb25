"""A 200 is a promise: gunicorn, killed right after the answer, with brokers that are down or silent."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from durable_django.engine.keys import create_key
from durable_django.models import Event, Run, RunStatus
from tests import ledger
from tests.http_server import start_gunicorn
from tests.plugins.processes import Project
from tests.plugins.store import Store
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not find_spec("gunicorn"), reason="the package gunicorn is not installed"),
    pytest.mark.timeout(240),
]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    for each in taken:
        each.close()


def post(url: str, body: Any, **headers: str) -> tuple[int, Any]:
    """Send a body and return status and answer."""
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def run_all(project: Callable[..., Project], count: int) -> None:
    """Let a worker of another process do what is left."""
    worker = project(apps=["tests.process_app"], RENUDGE_SECONDS=0.2).start_manage("durable", "worker")
    worker.wait_for("Ctrl-C stops it")
    done = Run.objects.filter(status=RunStatus.COMPLETED)
    wait_until(lambda: done.count() == count, 90, f"{count} runs")


WORLDS = [
    ("sqlite", "down", False, ""),
    ("sqlite", "silent redis", True, ""),
    ("postgres", "down", True, "REPEATABLE_READ"),
    ("postgres", "silent redis", False, "SERIALIZABLE"),
    ("postgres", "silent amqp", True, "READ_COMMITTED"),
]


@pytest.mark.parametrize(
    ("store", "broker_is", "atomic", "isolation"), WORLDS, ids=lambda value: str(value), indirect=["store"]
)
def test_what_was_answered_with_200_is_done(
    store: Store,
    project: Callable[..., Project],
    silent_port: int,
    tmp_path: Path,
    broker_is: str,
    atomic: bool,
    isolation: str,
) -> None:
    """Each event of each 200 is run once, although all processes died with the answers on the wire."""
    urls = {
        "down": "redis://127.0.0.1:1/0",
        "silent redis": f"redis://127.0.0.1:{silent_port}/0",
        "silent amqp": f"amqp://guest@127.0.0.1:{silent_port}//",
    }
    made = project(apps=["tests.process_app"], PUBLISH_TIMEOUT_SECONDS=1)
    made.env |= {
        "TEST_BROKER_URL": urls[broker_is],
        "TEST_ATOMIC_REQUESTS": str(atomic),
        "TEST_ISOLATION": isolation,
    }
    url, server = start_gunicorn(made)
    address = f"{url}e/{create_key('door', actor='test').text}"
    data = {"ledger": str(tmp_path / "ledger"), "gate": "", "steps": 1}
    sent: list[list[str]] = []

    def send(number: int) -> None:
        event = {"name": "process/steps", "data": {**data, "n": number}}
        try:
            status, said = post(address, [event] * 3)
        except (OSError, HTTPException):
            return  # it died before it could answer, or in the middle of it: nothing was promised
        if status == 200:
            sent.append(said["ids"])

    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(send, number) for number in range(60)]
        wait_until(lambda: len(sent) >= 4, 90, "four answers")
        server.kill()
        for each in asked:
            each.result(120)
    promised = {id for ids in sent for id in ids}
    assert len(promised) == 3 * len(sent) >= 12
    stored = {str(id) for id in Event.objects.filter(name="process/steps").values_list("id", flat=True)}
    assert promised <= stored
    assert len(stored) % 3 == 0, "a request was stored in part"
    run_all(project, len(stored))
    done = Counter(run for run, *_ in ledger.read(tmp_path / "ledger"))
    assert len(done) == len(stored)
    assert set(done.values()) == {1}


def test_requests_side_by_side(store: Store, project: Callable[..., Project]) -> None:
    """Two worker processes with threads take requests of many clients; ids are unique, none is lost."""
    url, _ = start_gunicorn(project())
    address = f"{url}e/{create_key('door', actor='test').text}"

    def send(number: int) -> list[str]:
        status, said = post(address, [{"name": "a/b", "data": {"n": number}}] * (number % 3 + 1))
        assert status == 200, said
        return said["ids"]  # type: ignore[no-any-return]

    with ThreadPoolExecutor(12) as pool:
        ids = [id for part in pool.map(send, range(150)) for id in part]
    assert len(ids) == len(set(ids)) == Event.objects.count() == 300


def test_a_burst_over_two_processes(store: Store, project: Callable[..., Project]) -> None:
    """The rate of a key holds although its requests go to several processes at once."""
    url, _ = start_gunicorn(project())
    address = f"{url}e/{create_key('door', actor='test', rate=0.001, burst=9).text}"
    with ThreadPoolExecutor(12) as pool:
        statuses = Counter(pool.map(lambda _: post(address, {"name": "a/b"})[0], range(40)))
    assert statuses == {200: 9, 429: 31}
    assert Event.objects.count() == 9


def test_a_client_that_leaves_and_repeats_its_request(store: Store, project: Callable[..., Project]) -> None:
    """A request is stored once however often its client leaves before the answer and repeats it."""
    url, _ = start_gunicorn(project())
    key = create_key("door", actor="test").text
    port = int(url.rstrip("/").rpartition(":")[2])
    seed = "1700000000000,AAECAwQFBgcICQ=="
    body = b'[{"name": "a/b"}, {"name": "a/c"}]'
    head = (
        f"POST /e/{key} HTTP/1.1\r\nHost: localhost\r\nX-Inngest-Event-Id-Seed: {seed}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    for cut in (len(head), len(head) + 5, len(head) + len(body)):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall((head + body)[:cut])
    wait_until(lambda: Event.objects.count() > 0, 40, "the request that was sent whole")
    request = urllib.request.Request(f"{url}e/{key}", body, {"X-Inngest-Event-Id-Seed": seed}, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        ids = json.loads(answer.read())["ids"]
    assert sorted(ids) == sorted(str(each.id) for each in Event.objects.all())
    assert Event.objects.count() == 2
    connections.close_all()


def test_a_slow_body_holds_only_its_own_thread(store: Store, project: Callable[..., Project]) -> None:
    """Bodies that come by the byte store nothing until they are whole; others are served meanwhile."""
    url, _ = start_gunicorn(project())
    key = create_key("door", actor="test").text
    port = int(url.rstrip("/").rpartition(":")[2])
    body = b'{"name": "a/slow"}'
    head = f"POST /e/{key} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    slow = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(3)]
    try:
        for client in slow:
            client.sendall(head.encode() + body[:4])
        for at in range(4, len(body) - 1):
            for client in slow:
                client.sendall(body[at : at + 1])
            time.sleep(0.02)
        assert post(f"{url}e/{key}", {"name": "a/quick"})[0] == 200
        assert [event.name for event in Event.objects.all()] == ["a/quick"]
        for client in slow:
            client.sendall(body[-1:])
            assert client.recv(64).startswith(b"HTTP/1.1 200")
    finally:
        for client in slow:
            client.close()
    assert Event.objects.filter(name="a/slow").count() == 3
