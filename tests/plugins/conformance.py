"""``--conformance``: how much of the behaviour table is played, and how much of it was."""

from __future__ import annotations

from collections import Counter

import pytest

CELL = "conformance cell"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--conformance",
        choices=("sample", "all"),
        default="all",
        help="cases of the behaviour page under a real Celery worker: all, or a fixed sample",
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [each for key in ("passed", "failed") for each in terminalreporter.stats.get(key, [])]
    played: Counter[tuple[str, str]] = Counter()
    for report in reports:
        if report.when == "call" or report.failed:
            for name, value in report.user_properties:
                if name == CELL:
                    cell, verdict = value.rsplit(" ", 1)
                    played[cell, verdict] += 1
    if not played:
        return
    terminalreporter.section("conformance: cases played")
    for cell in sorted({cell for cell, _ in played}):
        good, bad = played[cell, "held"], played[cell, "broken"]
        terminalreporter.write_line(f"{cell:28} {good:4} hold" + (f", {bad} do not" if bad else ""))
