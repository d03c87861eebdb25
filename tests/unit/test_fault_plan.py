"""The fault plan and the promises name tests that exist, and every fault and promise names one or says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXTS: dict[str, str] = {}
for _path in sorted((ROOT / "tests").rglob("*.py")):
    TEXTS[_path.name] = TEXTS.get(_path.name, "") + _path.read_text()
DOCS = ("fault-plan.md", "guarantees.md", "checking-data.md")


@pytest.mark.parametrize("name", DOCS)
def test_named_tests_exist(name: str) -> None:
    """Each file of tests, and each test in it, is there under the name that the documentation gives."""
    text = (ROOT / "docs" / name).read_text()
    named = re.findall(r"(test_\w+\.py)(?:::(\w+))?", text)
    assert [
        (file, test) for file, test in named if file not in TEXTS or f"def {test}" not in TEXTS[file]
    ] == []
    links = re.findall(r"\]\((\.\./tests/[^)]+)\)", text)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_every_fault_and_promise_has_its_row() -> None:
    """F1 to F84 and P1 to P14: none is left out, and none without a proof or a reason."""
    plan, promises = ((ROOT / "docs" / name).read_text() for name in DOCS[:2])
    faults = re.findall(r"^\| (F[\dF, ]+) \|[^|]+\| (.+) \|$", plan, re.MULTILINE)
    numbers = sorted(int(each) for listed, _ in faults for each in re.findall(r"\d+", listed))
    assert numbers == list(range(1, 85))
    proofs = re.findall(r"^\| P(\d+) \|.*\| ([^|]+) \|$", promises, re.MULTILINE)
    assert [int(number) for number, _ in proofs] == list(range(1, 15))
    assert all("tests/" in proof or "law" in proof for _, proof in proofs)
