from __future__ import annotations

import os
import signal
import socket
import sqlite3
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from durable_django.management.live.station import choose_address
from tests.processes import Process

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

WORKFLOWS = ["fulfil-order", "onboard-user", "csv-import", "csv-import-chunk", "csv-import-summary"]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start the demo of the example project on a database of its own."""
    started: list[Process] = []
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "DJANGO_"))}

    def start(*options: str, **env: str) -> Process:
        given = {**kept, "DATABASE_URL": f"sqlite:///{tmp_path / 'demo.sqlite3'}", **env}
        output = tmp_path / f"demo-{len(started)}.log"
        started.append(Process("demo", ["manage.py", "durable", "demo", *options], given, output))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_demo_plays_everything_and_exits(play: Callable[..., Process], tmp_path: Path) -> None:
    """``demo --exit`` plays every run from an empty folder, shows each, and ends with 0."""
    demo = play("--exit", free_address())
    assert demo.wait(120) == 0, demo.text
    for workflow in WORKFLOWS:
        assert workflow in demo.text
    assert "[11 of 11 runs, 100 %]" in demo.text
    assert "waits for event 'shop/payment.completed' with data.order_id = " in demo.text
    assert "the demo answers fulfil-order" in demo.text
    assert "demo-operator, password " in demo.text
    assert demo.text.count("\n  ok ") == 4
    assert "\x1b[" not in demo.text
    with closing(sqlite3.connect(tmp_path / "demo.sqlite3")) as database:
        statuses = database.execute("SELECT status, COUNT(*) FROM durable_django_run GROUP BY 1").fetchall()
    assert statuses == [("completed", 16)]


def test_demo_serves_until_interrupted(play: Callable[..., Process], tmp_path: Path) -> None:
    """Without ``--exit`` the server stays, new runs are shown, and Ctrl-C ends all of it with code 0."""
    address = free_address()
    demo = play(address)
    demo.wait_for("Ctrl-C ends it", 120)
    assert f"http://{address}/admin/ as demo-operator, password " in demo.text
    with urllib.request.urlopen(f"http://{address}/admin/login/", timeout=60) as page:
        assert page.status == 200
    demo.send(signal.SIGINT)
    assert demo.wait() == 0, demo.text
    assert "Traceback" not in demo.text
    assert demo.text.rstrip().endswith("Stopped.")


def test_demo_can_be_repeated(play: Callable[..., Process], tmp_path: Path) -> None:
    """A second demo on the same database works as well, with a new password for the same account."""
    passwords = []
    for _ in range(2):
        demo = play("--exit", free_address())
        assert demo.wait(120) == 0, demo.text
        passwords.append(demo.text.partition("password ")[2].split()[0])
    assert passwords[0] != passwords[1]


def test_demo_fails_if_a_run_does(play: Callable[..., Process], tmp_path: Path) -> None:
    """A run that does not end as expected is told with the reason, and ``--exit`` ends with 1."""
    script = tmp_path / "script.py"
    script.write_text(
        "from example_project.demo import *\n"
        "import dataclasses\n"
        "RUNS = [dataclasses.replace(RUNS[3], check=lambda subject, output: 'the sums are wrong')]\n"
    )
    settings = tmp_path / "broken_settings.py"
    settings.write_text("from example_project.settings import *\nDURABLE_DEMO = 'script'\n")
    demo = play(
        "--exit",
        free_address(),
        DJANGO_SETTINGS_MODULE="broken_settings",
        PYTHONPATH=str(tmp_path),
    )
    assert demo.wait(120) == 1, demo.text
    assert "the sums are wrong" in demo.text
    assert "1 of 1 runs did not have the expected result" in demo.text


def test_demo_refuses_production(play: Callable[..., Process]) -> None:
    """With DEBUG off the demo does nothing."""
    demo = play("--exit", DEBUG="0", SECRET_KEY="k" * 60, ALLOWED_HOSTS="localhost")
    assert demo.wait() == 1
    assert "DEBUG" in demo.text


def test_a_busy_port_is_passed_over() -> None:
    """Without an address the first free port from 8000 is taken."""
    first = choose_address(None)
    with socket.socket() as taken:
        host, _, port = first.rpartition(":")
        taken.bind((host, int(port)))
        taken.listen()
        assert int(choose_address(None).rpartition(":")[2]) > int(port)
