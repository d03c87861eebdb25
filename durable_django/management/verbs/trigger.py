"""``durable trigger``: start a workflow by name, and wait for its result if asked to."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.db import transaction

from ...define.registry import registry
from ...engine.alias import get_alias
from ...engine.handle import RunHandle
from ...engine.start import start_workflow
from ..actor import write_audit
from ..arguments import read_seconds
from ..console import Console, to_json
from ..payload import read_object

HELP = "start a workflow, and wait for its result if asked"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the workflow, its data, the key and the wait."""
    parser.add_argument("workflow", help="the workflow's id")
    parser.add_argument(
        "payload", nargs="?", metavar="data", help="what ctx.event.data will be, a JSON object"
    )
    parser.add_argument("--key", help="start at most one run of this key in IDEMPOTENCY_HOURS")
    parser.add_argument(
        "--wait", type=read_seconds, metavar="SECONDS", help="wait so long and print the result"
    )


def handle(console: Console, options: dict[str, Any]) -> None:
    """Start the run; with ``--wait``, fail unless it completes in time."""
    workflow = registry.get(options["workflow"])
    data = read_object(options["payload"])
    using = get_alias()
    with transaction.atomic(using=using):
        run = start_workflow(workflow, data, key=options["key"], origin="cli")
        write_audit(using, "trigger", run_id=run.id, workflow=workflow.id, result=f"started {run.id}")
    if options["wait"] is None:
        _say_started(console, workflow.id, run)
    else:
        _say_result(console, workflow.id, run, options["wait"])


def _say_started(console: Console, workflow: str, run: RunHandle) -> None:
    if console.as_json:
        console.data({"id": run.id, "workflow": workflow, "status": run.status})
    else:
        console.line(f"Started {workflow} {run.id}; see: manage.py durable show {run.id}")


def _say_result(console: Console, workflow: str, run: RunHandle, seconds: float) -> None:
    output = run.result(timeout=seconds)
    if console.as_json:
        console.data({"id": run.id, "workflow": workflow, "status": "completed", "output": output})
    else:
        console.line(to_json(output, indent=2))
