"""A dead worker is replaced within its lease and two sweeps, by the defaults (P6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from durable_django.clock import read_now
from durable_django.conf import settings
from tests.plugins.lab import LAB, Lab
from tests.plugins.processes import Project
from tests.waiting import wait_until

pytestmark = pytest.mark.process


@pytest.mark.timeout(180)
@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_dead_worker_is_replaced_within_its_lease_and_two_sweeps(
    lab: Lab, project: Callable[..., Project], configure: Callable[..., None]
) -> None:
    """From SIGKILL until another worker begins the step again, not before the lease of the dead one ends."""
    configure(DISPATCHER="local")  # by default this process would execute the run itself
    place = project(apps=[LAB])
    first = place.start_manage("durable", "worker")
    lab.send("gate")
    lab.wait_for("gate")
    second = place.start_manage("durable", "worker")
    second.wait_for(" serves ")
    # Not just after a renewal, when any delay of this machine would count against the promise.
    soon = timedelta(seconds=settings.LEASE_SECONDS - 4)
    wait_until(lambda: lab.runs.get().wake_at - read_now(lab.store.alias) < soon)
    lease_ends = lab.runs.get().wake_at
    killed_at = read_now(lab.store.alias)
    first.kill()
    promise = settings.LEASE_SECONDS + 2 * settings.TICK_SECONDS
    lab.wait_for("gate", 2, timeout=2 * promise)
    taken_at = read_now(lab.store.alias)
    assert (taken_at - killed_at).total_seconds() <= promise
    assert taken_at >= lease_ends
    lab.open_gate()
    (run,) = lab.wait_for_end()
    assert (run.token, len(lab.read("before"))) == (2, 1)
