"""Random programs on real workers under random faults (docs/guarantees.md): the size for each change.

The long form is ``python -m tests.chaos --programs 10000 --seconds 600 --store postgres --dispatcher celery``.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.chaos.programs import expect, generate
from tests.cluster import find_programs
from tests.plugins.services import need
from tests.processes import ROOT

PROFILES = {
    "sqlite": ["--programs", "600", "--seconds", "30"],
    "postgres": ["--programs", "400", "--seconds", "35", "--dispatcher", "celery"],
}


@pytest.mark.process
@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", list(PROFILES))
def test_random_programs_under_random_faults(store: str) -> None:
    """Killed, frozen and doubled workers, lost messages and a crashing server change no result and no count."""
    if store == "postgres":
        need("redis")
        if find_programs() is None:
            pytest.skip("the server programs of PostgreSQL are not installed")
    command = [sys.executable, "-m", "tests.chaos", "--store", store, "--interval", "1", *PROFILES[store]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=560)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    assert "violations=0" in done.stdout


def test_a_seed_is_a_program() -> None:
    """The same seed gives the same program and the same expectation, and seeds differ."""
    assert generate("7-1") == generate("7-1")
    assert expect(generate("7-1")) == expect(generate("7-1"))
    assert len({str(generate(f"7-{number}").ops) for number in range(100)}) > 90
