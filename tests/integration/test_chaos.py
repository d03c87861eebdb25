"""Random programs on real workers under random faults (docs/guarantees.md): the sizes for each change.

The long form is ``python -m tests.chaos --programs 10000 --seconds 600 --store postgres --dispatcher celery``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from tests.chaos.__main__ import PROOFS, find_missing
from tests.chaos.programs import expect, generate
from tests.cluster import find_programs
from tests.plugins.services import need
from tests.processes import ROOT

POSTGRES = ["--store", "postgres"]
CELERY = [*POSTGRES, "--dispatcher", "celery"]
CALM = ["--ambiguous", "0"]
SHORT = ["--faults", "kill", "repeat", "restart"]
"""What is sure to happen within a few seconds."""
PROFILES = {
    "sqlite": ["--programs", "600", "--seconds", "30", "--interval", "1"],
    "postgres and celery": [*CELERY, "--programs", "400", "--seconds", "35", "--interval", "1"],
    # The server stays away for longer than any store verb is repeated; the workers outlive it.
    "an outage of the database": [
        *[*POSTGRES, *CALM, "--programs", "60", "--seconds", "25"],
        *["--interval", "5", "--faults", "restart", "--outage", "24"],
    ],
    # Nothing that was answered is lost: the oracle knows of no failover.
    "failover to a synchronous standby": [
        *[*POSTGRES, "--programs", "80", "--seconds", "20", "--interval", "3"],
        *["--standby", "sync", "--faults", "failover", "kill", *CALM],
    ],
    # The tail is lost; what was sent since then is sent again, under the same ids, and all is as it should be.
    "failover to a lagging standby": [
        *[*POSTGRES, "--programs", "80", "--seconds", "20", "--interval", "3"],
        *["--standby", "async", "--faults", "failover", *CALM],
    ],
    "pauses and bulk operations": [
        *["--programs", "150", "--seconds", "30", "--interval", "1", "--faults", "pause", "bulk", "kill"],
    ],
    "wrong clocks, serializable": [
        *[*POSTGRES, "--programs", "100", "--seconds", "15", "--interval", "1", "--skew", "3600"],
        *SHORT,
        *["--postgres", "default_transaction_isolation=serializable"],
    ],
    "repeatable read": [
        *[*POSTGRES, "--programs", "100", "--seconds", "15", "--interval", "1"],
        *SHORT,
        *["--postgres", "default_transaction_isolation=repeatable read"],
    ],
}


def play(*options: str) -> str:
    """Play and return the line of figures; violations, and faults that did not happen, are an error."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1100,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    assert "violations=0" in done.stdout
    return done.stdout


def need_cluster(options: list[str]) -> None:
    if "celery" in options:
        need("redis")
    if "postgres" in options and find_programs() is None:
        pytest.skip("the server programs of PostgreSQL are not installed")


@pytest.mark.process
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("name", list(PROFILES))
def test_random_programs_under_random_faults(name: str) -> None:
    """Killed, frozen and doubled workers, lost messages and a crashing server change no result and no count."""
    need_cluster(PROFILES[name])
    play(*PROFILES[name])


@pytest.mark.process
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("options", [[], CELERY], ids=["local", "celery"])
def test_rolling_restarts_under_load(options: list[str]) -> None:
    """A deploy each second or two: everything ends, and no run waits for the lease of a worker that left."""
    need_cluster(options)
    faults = ["--programs", "100", "--seconds", "15", "--interval", "1.5", "--faults", "leave", *CALM]
    # With leases that no process loses by being slow: each take-over is of a run that was left behind.
    assert "take_overs=0 " in play(*options, *faults, "--lease", "15")


@pytest.mark.parametrize(
    "figure",
    ["kills", "take_overs", "zombies", "fence_refusals", "redeliveries", "ambiguous_commits", "lost_events"],
)
def test_a_run_without_its_faults_proves_nothing(figure: str) -> None:
    """Whatever kind of fault was to happen and did not fails the run, even if nothing else is wrong."""
    asked = argparse.Namespace(
        faults=[], store="postgres", dispatcher="celery", ambiguous=0.002, standby="async"
    )
    happened = {name: 1 for proofs in PROOFS.values() for name in proofs}
    happened |= {"ambiguous_commits": 1, "lost_events": 1}
    assert find_missing(asked, happened) == []
    assert find_missing(asked, {**happened, figure: 0}) == [figure.replace("_", " ")]


def test_a_seed_is_a_program() -> None:
    """The same seed gives the same program and the same expectation, and seeds differ."""
    assert generate("7-1") == generate("7-1")
    assert expect(generate("7-1")) == expect(generate("7-1"))
    assert len({str(generate(f"7-{number}").ops) for number in range(100)}) > 90
