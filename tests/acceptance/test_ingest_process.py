from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_django.engine.keys import create_key
from durable_django.models import Event, Run, RunStatus
from tests import ledger
from tests.plugins.processes import Project
from tests.plugins.store import Store
from tests.processes import Process
from tests.waiting import wait_until

pytestmark = pytest.mark.process

MB = 1024 * 1024
STREAMED = 300 * MB
ROOM = 80 * MB
"""Memory that a server may need beyond that of its start: the limit of a request, some times over."""


class Door:
    """A server process and a key for it."""

    def __init__(self, project: Project, key: str) -> None:
        self.process: Process = project.start("server", "-m", "tests.http_server")
        self.process.wait_for("port ")
        found = lambda: next(iter(self.process.text.partition("port ")[2].split()), "")  # noqa: E731
        self.port = int(self.process.wait_until(found, what="a port"))
        self.path = f"/e/{key}"

    def post(self, body: Any, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", self.path, body, headers, encode_chunked=not isinstance(body, bytes))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    @property
    def peak(self) -> int:
        """The most memory that the process has had, in bytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.fixture
def open_door(project: Callable[..., Project], store: Store) -> Callable[..., Door]:
    """Start a server: ``open_door(apps=[…], **settings)``."""
    return lambda **settings: Door(project(**settings), create_key("door", actor="test").text)


def test_chunked_body(open_door: Callable[..., Door]) -> None:
    """A body without Content-Length is read."""
    pieces = [b'[{"name": "a/b", "da', b'ta": {"n": 1}}, ', b'{"name": "a/b"}]']
    status, said = open_door().post(iter(pieces), **{"Transfer-Encoding": "chunked"})
    assert (status, len(said["ids"])) == (200, 2)
    assert Event.objects.count() == 2


def endless(size: int) -> Iterator[bytes]:
    piece = (b'{"name": "a/b", "data": {"x": "' + b"x" * 200 + b'"}},') * 256
    yield b"["
    for _ in range(size // len(piece)):
        yield piece


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_memory_is_flat_under_a_large_body(open_door: Callable[..., Door]) -> None:
    """Hundreds of megabytes, chunked or announced, are refused soon and leave no trace in memory."""
    door = open_door()
    assert door.post(b"[]")[0] == 200
    before, began = door.peak, time.monotonic()
    for headers in ({"Transfer-Encoding": "chunked"}, {"Content-Length": str(STREAMED)}):
        try:
            status, said = door.post(endless(STREAMED), **headers)
        except (BrokenPipeError, ConnectionResetError):
            continue  # the server answered and closed while we were still sending
        assert (status, said["ids"]) == (400, [])
        assert "over the max size" in said["error"]
    assert time.monotonic() - began < 60
    assert door.peak - before < ROOM
    assert Event.objects.count() == 0
    assert door.post(b'{"name": "a/b"}')[0] == 200


BOMBS = {
    "brackets": b'[{"name":"a/b","data":{"a":' + b"[" * (15 * MB),
    "quotes": b'[{"name":"a/b","data":{"a":"' + b'\\"' * (7 * MB),
    "small values": b'{"name":"a/b","data":{"a":[' + b"[]," * (5 * MB),
    "colons": b'{"name":"a/b","data":{' + b'"":{},' * (2 * MB),
    "spaces": b" " * (15 * MB),
    "numbers": b'[{"name":"a/b","data":{"a":' + b"7" * (15 * MB),
    "tiny events": b"[" + b"{}," * (5 * MB),
}


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_costly_bodies_are_cheap(open_door: Callable[..., Door]) -> None:
    """Bodies made to cost time or memory are refused in seconds, with memory to spare."""
    door = open_door()
    assert door.post(b"[]")[0] == 200
    before = door.peak
    for name, body in BOMBS.items():
        began = time.monotonic()
        status, _ = door.post(body)
        assert status == 400, name
        assert time.monotonic() - began < 15, name
    assert door.peak - before < ROOM


def test_a_broken_off_request_stores_nothing(open_door: Callable[..., Door]) -> None:
    """A client that leaves in the middle of its body has sent nothing; the server goes on."""
    door = open_door()
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)
    connection.putrequest("POST", door.path)
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b'[{"name": "a/b"}]')
    connection.close()
    assert door.post(b'{"name": "a/c"}')[0] == 200
    assert [event.name for event in Event.objects.all()] == ["a/c"]


def test_200_survives_kill_9_without_a_broker(
    project: Callable[..., Project],
    tmp_path: Path,
) -> None:
    """What was answered with 200 is run although the server was killed at once and no broker was there."""
    broken = {"TEST_BROKER_URL": "redis://127.0.0.1:1/0"}
    made = project(apps=["tests.process_app"])
    made.env |= broken
    door = Door(made, create_key("door", actor="test").text)
    data = {"ledger": str(tmp_path / "ledger"), "gate": "", "steps": 1}
    body = json.dumps([{"name": "process/steps", "data": data} for _ in range(5)]).encode()
    status, said = door.post(body)
    door.process.kill()
    assert (status, len(said["ids"])) == (200, 5)
    assert Event.objects.count() == 5
    worker = project(apps=["tests.process_app"], RENUDGE_SECONDS=0.2).start_manage("durable", "worker")
    worker.wait_for("Ctrl-C stops it")
    done = Run.objects.filter(status=RunStatus.COMPLETED)
    wait_until(lambda: done.count() == 5, 40, "five runs")
    assert len(ledger.read(tmp_path / "ledger")) == 5
