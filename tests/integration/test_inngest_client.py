from __future__ import annotations

import asyncio
import json
import logging
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durable_django.engine.codec import decode
from durable_django.engine.keys import create_key
from durable_django.models import Event
from tests.http_server import start_server
from tests.plugins.processes import Project
from tests.plugins.store import Store

inngest = pytest.importorskip("inngest", reason="the package inngest is not installed")

pytestmark = pytest.mark.process


@pytest.fixture
def server(project: Callable[..., Project]) -> str:
    """The address of a real server process with the API at its root."""
    return start_server(project())


def make_client(server: str, key: str) -> Any:
    return inngest.Inngest(
        app_id="test",
        event_api_base_url=server,
        event_key=key,
        is_production=True,
        signing_key="signkey-test-00",
        logger=logging.getLogger("test.inngest"),
    )


@pytest.fixture
def client(server: str, store: Store) -> Any:
    return make_client(server, create_key("client", actor="test").text)


def read_stored(ids: list[str]) -> list[Any]:
    stored = {str(event.id): event for event in Event.objects.all()}
    assert stored.keys() == set(ids)
    return [decode(stored[id].data) for id in ids]


def test_send_sync(client: Any) -> None:
    """An unchanged client sends one event and gets its id."""
    ids = client.send_sync(inngest.Event(name="shop/order.placed", data={"order": "ü€😀"}, id="mine"))
    assert read_stored(ids) == [{"order": "ü€😀"}]
    event = Event.objects.get()
    assert (event.name, event.external_id, event.source) == ("shop/order.placed", "mine", "api")


def test_send_async_many(client: Any) -> None:
    """An unchanged client sends many events at once, and gets their ids in their order."""

    async def send() -> Any:
        return await client.send([inngest.Event(name="a/b", data={"n": n}) for n in range(300)])

    assert read_stored(asyncio.run(send())) == [{"n": n} for n in range(300)]


def test_no_events(client: Any) -> None:
    """An empty list is answered with no ids."""
    assert client.send_sync([]) == []


def test_refusals_reach_the_sender(client: Any, server: str) -> None:
    """The client raises with our words, and nothing is stored."""
    with pytest.raises(inngest.errors.SendEventsError if hasattr(inngest, "errors") else Exception) as raised:
        client.send_sync([inngest.Event(name="a/b"), inngest.Event(name="durable/x")])
    assert "reserved for internal use" in str(raised.value)
    with pytest.raises(Exception, match="Event key not found"):
        make_client(server, "wrong").send_sync(inngest.Event(name="a/b"))
    assert Event.objects.count() == 0


def test_development_mode(project: Callable[..., Project], store: Store) -> None:
    """Without required keys a client in development mode, which has none, is served."""
    server = start_server(project(REQUIRE_EVENT_KEYS=False))
    client = inngest.Inngest(app_id="test", event_api_base_url=server, is_production=False)
    assert read_stored(client.send_sync(inngest.Event(name="a/b", data={"n": 1}))) == [{"n": 1}]


JS = """
import { Inngest } from "inngest";
const client = new Inngest({ id: "test", baseUrl: process.argv[2], eventKey: process.argv[3], isDev: false });
const sent = await client.send([{ name: "a/b", data: { n: 1 } }, { name: "a/b", data: { n: 2 } }]);
console.log(JSON.stringify(sent.ids));
"""


def install_js(folder: Path) -> str:
    """Install the client of npm; return why that is not possible, or nothing."""
    if not (shutil.which("node") and shutil.which("npm")):
        return "node or npm is missing"
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    command = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefer-offline",
        "inngest@3",
    ]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "npm did not get inngest in 60 s"
    return "" if done.returncode == 0 else f"npm could not get inngest: {done.stderr.strip()[-200:]}"


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_javascript_client(server: str, store: Store, tmp_path: Path) -> None:
    """An unchanged JavaScript client sends events and gets their ids."""
    if reason := install_js(tmp_path):
        pytest.skip(reason)
    (tmp_path / "send.mjs").write_text(JS)
    key = create_key("client", actor="test").text
    done = subprocess.run(
        ["node", "send.mjs", server, key], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert read_stored(json.loads(done.stdout)) == [{"n": 1}, {"n": 2}]
