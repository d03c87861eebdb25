"""Bodies made to hurt, against gunicorn: refused, quickly forgotten, and no memory left behind."""

from __future__ import annotations

import gzip
import http.client
import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from durable_django.engine.keys import create_key
from durable_django.models import Event
from tests.http_server import start_gunicorn
from tests.plugins.processes import Project

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not find_spec("gunicorn"), reason="the package gunicorn is not installed"),
    pytest.mark.timeout(240),
]

MB = 1024 * 1024
GB = 1024 * MB
ROOM = 96 * MB
"""Memory that a process may need beyond that of its first request: the limit of a request, some times over."""


class Door:
    """Gunicorn with one worker process, and a key."""

    def __init__(self, project: Project) -> None:
        url, self.process = start_gunicorn(project, workers=1)
        self.port = int(url.rstrip("/").rpartition(":")[2])
        self.path = f"/e/{create_key('door', actor='test').text}"
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.worker = int(children[0])

    def post(self, body: Any, **headers: str) -> int:
        """Send a body; return the status, or 0 if the server hung up while it was still being sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(
                "POST", self.path, body, headers, encode_chunked="Transfer-Encoding" in headers
            )
            answer = connection.getresponse()
            assert answer.status == 200 or json.loads(answer.read())["ids"] == []
            return answer.status
        except (BrokenPipeError, ConnectionResetError):
            return 0
        finally:
            connection.close()

    @property
    def peak(self) -> int:
        """The most memory that the worker process has had, in bytes."""
        lines = Path(f"/proc/{self.worker}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.fixture
def door(project: Callable[..., Project]) -> Door:
    made = Door(project())
    assert made.post(b'{"name": "a/first"}') == 200
    return made


class Endless:
    """A body of a given size that is made while it is sent, and counts how far that went."""

    def __init__(self, size: int) -> None:
        self.size, self.sent = size, 0

    def __iter__(self) -> Iterator[bytes]:
        piece = (b'{"name": "a/b", "data": {"x": "' + b"x" * 200 + b'"}},') * 256
        yield b"["
        while self.sent < self.size:
            self.sent += len(piece)
            yield piece


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_ten_gigabytes_leave_no_trace(door: Door) -> None:
    """A body of 10 GB, chunked or announced, is given up soon after the limit, and memory stays flat."""
    before = door.peak
    for headers in ({"Transfer-Encoding": "chunked"}, {"Content-Length": str(10 * GB)}):
        body = Endless(10 * GB)
        assert door.post(iter(body), **headers) in {0, 400}
        assert body.sent < 200 * MB, "the server read on"
    assert door.peak - before < ROOM
    assert door.post(b'{"name": "a/last"}') == 200
    assert sorted(event.name for event in Event.objects.all()) == ["a/first", "a/last"]


def nest(depth: int) -> bytes:
    return b'{"name":"a/b","data":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"


HOSTILE: dict[str, tuple[bytes, dict[str, str]]] = {
    "gzip bomb": (gzip.compress(b" " * (64 * MB)), {"Content-Encoding": "gzip"}),
    "gzip bomb that does not say so": (gzip.compress(b" " * (64 * MB)), {}),
    "million keys": (b'{"name":"a/b","data":{' + b",".join(b'"%x":0' % n for n in range(10**6)) + b"}}", {}),
    "million keys below the size": (
        b"[" + b",".join(b'{"name":"a/b","data":{%s}}' % (b'"":0,' * 10_001)[:-1] for _ in range(90)) + b"]",
        {},
    ),
    "depth of 2,000": (nest(2_000), {}),
    "depth of a million": (b'{"name":"a/b","data":' + b"[" * 10**6, {}),
    "5,000 digits": (b'{"name":"a/b","data":{"n":' + b"7" * 5_000 + b"}}", {}),
    "a number of megabytes": (b'{"name":"a/b","data":{"n":' + b"7" * (15 * MB) + b"}}", {}),
    "exponent": (b'{"name":"a/b","data":{"n":1e999999999}}', {}),
    "same key twice": (b'{"name":"a/b","name":"a/c"}', {}),
    "byte order mark": (b'\xef\xbb\xbf{"name":"a/b"}', {}),
    "UTF-16": ('{"name":"a/b"}'.encode("utf-16"), {}),
    "NUL": (b'{"name":"a/b","data":{"a":"\\u0000"}}', {}),
    "lone surrogates": (b'{"name":"a/b","data":{"\\udfff\\ud800":1}}', {}),
    "overlong UTF-8": (b'{"name":"a/\xc0\xaf"}', {}),
    "spaces": (b" " * (15 * MB), {}),
    "commas": (b"[" + b"," * (15 * MB), {}),
    "empty events": (b"[" + b"{}," * (5 * MB), {}),
    "more events than may be": (b"[" + b",".join([b'{"name":"a/b"}'] * 5_001) + b"]", {}),
    "backslashes": (b'{"name":"' + b"\\" * (15 * MB), {}),
}


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_hostile_bodies(door: Door) -> None:
    """Each is answered with 400, nothing is stored, memory stays flat, and the process lives on."""
    before = door.peak
    for name, (body, headers) in HOSTILE.items():
        assert door.post(body, **headers) == 400, name
        grown = door.peak - before
        assert grown < ROOM, f"{name}: {grown // MB} MB"
    assert door.post(b'{"name": "a/last"}') == 200
    assert Event.objects.count() == 2
    assert Path(f"/proc/{door.worker}").exists()
