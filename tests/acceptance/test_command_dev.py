from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugins.processes import Project
from tests.processes import Process
from tests.waiting import wait_until

pytestmark = pytest.mark.process

CODE = """
from durable_django import workflow

@workflow(id="answer", trigger="dev/asked")
def answer(ctx):
    return ctx.step.run("think", lambda: {answer!r})
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The workflows of an app that a developer is about to change."""
    package = tmp_path / "code" / "devapp"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "workflows.py").write_text(CODE.format(answer="old answer"))
    return package / "workflows.py"


@pytest.fixture
def developer(project: Callable[..., Project], source: Path) -> Project:
    made = project(apps=["devapp"])
    made.env["PYTHONPATH"] += f":{source.parent.parent}"
    made.env["PYTHONDONTWRITEBYTECODE"] = "1"
    return made


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(developer: Project, dev: Process) -> None:
    sent = developer.start_manage("durable", "send", "dev/asked")
    assert sent.wait() == 0, sent.text


def test_dev_serves_works_and_reloads(developer: Project, source: Path, port: int) -> None:
    """One command serves and works, shows runs and steps, takes up saved code, survives broken code."""
    dev = developer.start_manage("durable", "dev", str(port))
    dev.wait_until(lambda: is_open(port), what="the web server")
    ask(developer, dev)
    dev.wait_for("step 'think' completed")
    dev.wait_for("run completed after")
    assert "old answer" in dev.text

    source.write_text("this is no Python")
    dev.wait_for("it starts again when a file is saved")
    source.write_text(CODE.format(answer="a new answer"))
    dev.wait_until(lambda: dev.text.count("restarting") == 2, what="the second restart")
    dev.wait_until(lambda: is_open(port), what="the web server again")
    ask(developer, dev)
    dev.wait_for("a new answer")

    dev.send(signal.SIGINT)
    assert dev.wait() == 0
    assert "Stopped." in dev.text
    wait_until(lambda: not is_open(port), what="the end of the web server")


def test_children_follow_a_killed_parent(developer: Project, port: int) -> None:
    """The server does not outlive a parent that was killed."""
    dev = developer.start_manage("durable", "dev", str(port))
    dev.wait_until(lambda: is_open(port), what="the web server")
    dev.kill()
    wait_until(lambda: not is_open(port), what="the end of the web server")


def test_a_port_in_use_is_told(developer: Project) -> None:
    """A port that was asked for and is taken is a failure with a sentence."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        dev = developer.start_manage("durable", "dev", str(taken.getsockname()[1]))
        assert dev.wait() == 1
    assert "is in use" in dev.text
    assert "Traceback" not in dev.text


@pytest.mark.parametrize("address", ["99999", "localhost", "0"])
def test_a_bad_address_is_wrong_usage(developer: Project, address: str) -> None:
    """What is neither a port nor host:port ends with code 2."""
    dev = developer.start_manage("durable", "dev", address)
    assert dev.wait() == 2
    assert "host:port" in dev.text
