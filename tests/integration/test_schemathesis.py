"""A schema-driven fuzzer over the OpenAPI document, against a real server process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

from durable_django.engine.keys import create_key
from durable_django.models import Event, Run, Wait
from tests.http_server import start_server
from tests.plugins.processes import Project
from tests.plugins.store import Store

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not find_spec("schemathesis"), reason="the package schemathesis is not installed"),
    pytest.mark.skipif(
        not find_spec("drf_spectacular"), reason="the package drf-spectacular is not installed"
    ),
]

SECONDS, ENOUGH = 25, 100
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth"


def make_rows(store: Store) -> dict[str, str]:
    """Store an event and its run, so that more than "not found" is answered."""
    event = Event.objects.using(store.alias).create(name="process/steps", data='{"steps":1}', ts=1)
    run = Run.objects.using(store.alias).create(
        workflow="process-steps", event=event, queue="durable", wake_at=datetime.now(UTC) + timedelta(days=1)
    )
    waits = Wait.objects.using(store.alias)
    wait = waits.create(run=run, name="ask", event_name="app/ask", expires_at=run.wake_at)
    found = {"event_id": event.id, "run_id": run.id, "workflow_id": "process-steps", "wait_id": wait.pk}
    return {name: str(value) for name, value in found.items()}


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("store", "known"), [("sqlite", True), ("postgres", True), ("sqlite", False)], indirect=["store"]
)
def test_the_answers_are_as_documented(
    store: Store, project: Callable[..., Project], tmp_path: Path, known: bool
) -> None:
    """Whatever fits the document or nearly fits it: no 5xx, no undocumented status, type or form of answer."""
    rows = make_rows(store) if known else {}
    key = create_key("fuzzer", actor="test", scopes=["ingest", "read", "operate"]).text
    made = project(apps=["tests.process_app"])
    made.env |= {"TEST_URLS": "tests.urls_openapi", "TEST_LOG_LEVEL": "ERROR"}
    server = start_server(made)
    given = {"event_key": key, **rows}
    config = tmp_path / "schemathesis.toml"
    lines = [f'"path.{name}" = "{value}"' for name, value in given.items()]
    config.write_text("\n".join(["[parameters]", *lines, ""]))
    begin = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", f"{server}v1/openapi.json", "--header", f"Authorization: Bearer {key}"),
        *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color"),
    ]
    for seconds in (SECONDS, 6 * SECONDS):  # a busy machine asks as much in a longer time
        command = [*begin, "--max-time", str(seconds)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        report = done.stdout[-8_000:] + done.stderr[-2_000:]
        assert done.returncode == 0, report
        generated = re.search(r"([\d,]+) generated", report)
        if generated and int(generated[1].replace(",", "")) > ENOUGH:
            return
    raise AssertionError(report)
