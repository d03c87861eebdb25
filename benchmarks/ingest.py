"""W8: POST /e/<key> by 16 clients to gunicorn with 2 workers, single events and arrays, beside many open waits.

Options: ``seconds``, ``waits``, ``size`` of the arrays.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from django.db import connection

from benchmarks.scratch import scratch_database
from benchmarks.setup import VARIABLE

CLIENTS, WORKERS, PORT = 16, 2, 18_765


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row for single events and one for arrays."""
    seconds, size = options.get("seconds", 10), options.get("size", 100)
    with scratch_database() as url:
        if waits := options.get("waits", 100_000):
            from benchmarks.waits import fill_waits

            fill_waits(waits)
        server = _start_server(url)
        try:
            _wait_for_server()
            return [
                {"case": name, "waits": waits, **_measure(count, seconds)}
                for name, count in (("single", 1), (f"arrays of {size}", size))
            ]
        finally:
            server.terminate()
            server.wait(20)


def _start_server(url: str) -> subprocess.Popen[bytes]:
    told = {"url": url, "durable": {"DISPATCHER": "local"}}
    command = [sys.executable, "-m", "gunicorn", "-w", str(WORKERS), "-k", "gthread", "--threads", "8"]
    command += ["-b", f"127.0.0.1:{PORT}", "--log-level", "error", "benchmarks.wsgi:application"]
    return subprocess.Popen(command, env={**os.environ, VARIABLE: json.dumps(told)})


def _wait_for_server() -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(OSError):
            _post(http.client.HTTPConnection("127.0.0.1", PORT, timeout=5), _body(1))
            return
        time.sleep(0.1)
    raise SystemExit("gunicorn does not come up")


def _body(count: int) -> bytes:
    event = {"name": "bench/ingest", "data": {"n": 1, "text": "x" * 100}}
    return json.dumps(event if count == 1 else [event] * count).encode()


def _post(client: http.client.HTTPConnection, body: bytes) -> int:
    client.request("POST", "/e/bench", body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    found = json.loads(answer.read())
    if answer.status != 200:
        raise SystemExit(f"the server answers {answer.status}: {found}")
    return len(found["ids"])


def _measure(count: int, seconds: float) -> dict[str, Any]:
    before = _count_events()
    times: list[float] = []
    stop = time.perf_counter() + seconds
    clients = [threading.Thread(target=_send, args=(_body(count), stop, times)) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    took = time.perf_counter() - began
    if _count_events() - before != len(times) * count:
        raise SystemExit("events are missing: no figure")
    times.sort()
    return {
        "events_per_s": round(len(times) * count / took),
        "p50_ms": round(times[len(times) // 2] * 1_000, 1),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1_000, 1),
    }


def _send(body: bytes, stop: float, times: list[float]) -> None:
    client = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    while time.perf_counter() < stop:
        began = time.perf_counter()
        _post(client, body)
        times.append(time.perf_counter() - began)
    client.close()


def _count_events() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM durable_django_event WHERE name = 'bench/ingest'")
        return int(cursor.fetchone()[0])
