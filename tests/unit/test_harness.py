from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins.order import deal
from tests.processes import ROOT

PROBE = """
def test_it(redis_url):
    assert redis_url
"""
NOWHERE = "redis://127.0.0.1:1/0"  # port 1 is reserved; nothing listens


def run_pytest(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    test = folder / "test_probe.py"
    test.write_text(PROBE)
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "DURABLE_TEST_"))
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(ROOT),
        "-n0",
    ]
    command += ["-p", "no:cacheprovider", "-p", "tests.plugins.services", str(test)]
    env = {**kept, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=100)


def test_a_missing_service_skips_and_is_counted(tmp_path: Path) -> None:
    """A test whose server is missing is skipped, and the end of the report says how many were and why."""
    done = run_pytest(tmp_path, DURABLE_TEST_REDIS=NOWHERE)
    assert done.returncode == 0, done.stdout
    assert (
        "1 tests skipped, redis does not answer at redis://127.0.0.1:1/0 (DURABLE_TEST_REDIS)" in done.stdout
    )


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ("postgres, redis", "a required service is missing: redis does not answer"),
        ("reddis", "DURABLE_TEST_REQUIRE names reddis; known are postgres, redis, rabbitmq"),
    ],
)
def test_a_required_service_that_is_missing_fails_the_run(tmp_path: Path, names: str, complaint: str) -> None:
    """DURABLE_TEST_REQUIRE turns a missing or misspelt service into a failure."""
    done = run_pytest(tmp_path, DURABLE_TEST_REDIS=NOWHERE, DURABLE_TEST_REQUIRE=names)
    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr


@pytest.mark.parametrize("shares", [1, 3, 4])
@pytest.mark.parametrize(("longs", "shorts"), [(7, 100), (1, 2), (0, 9), (9, 0), (40, 3)])
def test_long_tests_begin_early_in_every_share(longs: int, shorts: int, shares: int) -> None:
    """Each process begins with as many of them, the longest first; none is lost, and none is left for the end."""
    items = [*range(shorts), *range(-longs, 0)]
    dealt = deal(items, [max(-item, 0) for item in items], shares)
    assert sorted(dealt) == sorted(items)
    cuts, begin = [], 0
    for left in range(shares, 0, -1):
        end = begin + (len(dealt) - begin) // left
        cuts.append(dealt[begin:end])
        begin = end
    counts = [sum(item < 0 for item in cut) for cut in cuts]
    assert max(counts) - min(counts) <= 1
    for cut in cuts:
        found = [item for item in cut if item < 0]
        assert found == sorted(found)
    if shorts > 10 * longs:
        assert all(item >= 0 for cut in cuts for item in cut[len(cut) * 2 // 3 :])
