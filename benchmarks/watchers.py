"""W9: what operators cost the workers who watch the console, which asks again every few seconds.

Half of them watch a run that is live, half the list of runs, each as fast as the pages ever ask. They are served on
cores that the works do not use, if there are any, as by another host. Options: ``operators``, ``runs``, ``steps``,
``rounds``, ``threads``.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

from django.core.management import call_command
from django.db import connections

from benchmarks.console_setup import configure_console
from benchmarks.rounds import Sample, summarize, take_turns
from benchmarks.scratch import make_database
from benchmarks.setup import VARIABLE

PORT = 18_766
RUN_SECONDS, LIST_SECONDS = 2.0, 5.0
"""Pauses of the pages while there is news, as in console.js."""


def run(options: dict[str, int]) -> list[dict[str, Any]]:
    """Measure and return one row without and one with the operators."""
    operators, runs, steps = (
        options.get("operators", 20),
        options.get("runs", 2_000),
        options.get("steps", 10),
    )
    with make_database() as url:
        try:
            configure_console(url)
            call_command("migrate", verbosity=0)
            from benchmarks import workflows  # noqa: F401  what the events start
            from benchmarks.throughput import measure

            told = {"url": url, "threads": options.get("threads", 32), "durable": {"DISPATCHER": "local"}}
            alone = partial(measure, told, runs, steps, "bench/def")
            with _serving(url):
                contenders: dict[str, Callable[[], Sample]] = {
                    "alone": alone,
                    f"{operators} operators": partial(_measure_watched, alone, operators),
                }
                found = take_turns(contenders, options.get("rounds", 5))
        finally:
            connections.close_all()
    rows = [{"case": name, **summarize(samples)} for name, samples in found.items()]
    rows[1]["ratio"] = round(rows[1]["rate"] / rows[0]["rate"], 2)
    return rows


def _measure_watched(alone: Callable[[], Sample], operators: int) -> Sample:
    watchers = Watchers(operators)
    try:
        sample = alone()
    finally:
        watchers.stop()
    return {**sample, "polls_per_s": len(watchers.times) / sample["seconds"], "poll_ms": watchers.median_ms}


class Watchers:
    """Threads that ask as open pages do, until they are stopped."""

    def __init__(self, count: int) -> None:
        self._over = threading.Event()
        self.times: list[float] = []
        cookie = _log_in()
        kinds = (partial(self._watch_run, cookie), partial(self._watch_list, cookie))
        self._threads = [threading.Thread(target=kinds[number % 2], daemon=True) for number in range(count)]
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        """Close the pages."""
        self._over.set()
        for each in self._threads:
            each.join(30)

    @property
    def median_ms(self) -> float:
        """The median of the times that a request took."""
        return sorted(self.times)[len(self.times) // 2] * 1_000 if self.times else 0.0

    def _watch_run(self, cookie: str) -> None:
        from durable_django.models import Run

        revision = ""
        try:
            while not self._over.wait(RUN_SECONDS):
                run_id = Run.objects.filter(status="running").values_list("id", flat=True).first()
                if run_id is not None:
                    revision = self._ask(cookie, f"/admin/durable_django/run/{run_id}/live/?rev={revision}")
        finally:
            connections.close_all()

    def _watch_list(self, cookie: str) -> None:
        while not self._over.wait(LIST_SECONDS):
            self._ask(cookie, f"/admin/durable_django/run/news/?since={UUID(int=0)}")

    def _ask(self, cookie: str, path: str) -> str:
        began = time.perf_counter()
        client = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        client.request("GET", path, headers={"Cookie": cookie})
        answer = client.getresponse()
        answer.read()
        client.close()
        if answer.status not in (200, 204, 404):  # 404: the run is gone since the tables were emptied
            raise SystemExit(f"{path} answers {answer.status}")
        self.times.append(time.perf_counter() - began)
        return answer.headers.get("X-Durable-Revision") or ""


def _log_in() -> str:
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(
        User.objects.filter(username="bench").first() or User.objects.create_superuser("bench")
    )
    return f"sessionid={client.cookies['sessionid'].value}"


@contextmanager
def _serving(url: str) -> Iterator[None]:
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-k", "gthread", "--threads", "4"]
    command += ["-b", f"127.0.0.1:{PORT}", "--log-level", "error", "benchmarks.console_wsgi:application"]
    server = subprocess.Popen(command, env={**os.environ, VARIABLE: json.dumps({"url": url})})
    mine = os.sched_getaffinity(0)
    if others := set(range(os.cpu_count() or 1)) - mine:
        os.sched_setaffinity(server.pid, others)
    try:
        _wait_for_server()
        yield
    finally:
        server.terminate()
        server.wait(20)


def _wait_for_server() -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(OSError):
            http.client.HTTPConnection("127.0.0.1", PORT, timeout=5).connect()
            return
        time.sleep(0.1)
    raise SystemExit("gunicorn does not come up")
