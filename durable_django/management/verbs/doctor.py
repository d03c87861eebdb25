"""``durable doctor``: look at everything that a run needs, and say what to do about what is wrong."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError

from ...engine.alias import get_alias
from ..console import Console
from ..health import Finding, examine

HELP = "check that all is in order, and say what to do"


def add_arguments(parser: ArgumentParser) -> None:
    """Add ``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="say nothing unless something fails, for probes")


def handle(console: Console, options: dict[str, Any]) -> None:
    """Print the findings; fail if one of them does."""
    findings = examine(get_alias())
    failed = [finding for finding in findings if finding.level == "fail"]
    if options["quiet"] and not failed:
        return
    if console.as_json:
        console.data({"ok": not failed, "checks": [asdict(finding) for finding in findings]})
    else:
        _print(console, findings, quiet=options["quiet"])
    if failed:
        names = ", ".join(finding.name for finding in failed)
        raise CommandError(f"{len(failed)} of {len(findings)} checks failed: {names}.")


def _print(console: Console, findings: list[Finding], *, quiet: bool) -> None:
    for finding in findings:
        if quiet and finding.level == "ok":
            continue
        level = console.paint(finding.level, f"{finding.level:4}")
        console.line(f"{level}  {finding.name:10}  {finding.text}")
        if finding.remedy:
            console.line(f"{'':18}{finding.remedy}")
