from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

TYPED = Path(__file__).with_name("typed_workflows.py")


def test_decorated_functions_and_step_tools_keep_their_types(tmp_path: Path) -> None:
    """A strict type checker infers what steps return, and refuses wrong arguments."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), str(TYPED)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    complaints = [line for line in done.stdout.splitlines() if TYPED.name in line]
    assert complaints == [], done.stdout
    assert "checked 1 source file" in done.stdout or "no issues found" in done.stdout, (
        done.stdout + done.stderr
    )


def test_the_checked_file_is_one_that_can_complain(tmp_path: Path) -> None:
    """A wrong expectation in such a file is reported, so silence means something."""
    pytest.importorskip("mypy")
    wrong = tmp_path / "wrong_workflows.py"
    wrong.write_text(
        TYPED.read_text().replace(
            'ctx.step.run("load", load, 1), str)', 'ctx.step.run("load", load, 1), int)'
        )
    )
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), str(wrong)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert 'Expression is of type "str", not "int"' in done.stdout
