"""WaitingPool: as many threads as there is work, up to its size, and none that idles for long."""

from __future__ import annotations

import threading
from concurrent.futures import wait
from typing import Any

import pytest

from durable_django.engine import outside
from durable_django.engine.outside import WaitingPool
from tests.waiting import wait_until


def count(name: str) -> int:
    return sum(each.name == name for each in threading.enumerate())


def test_jobs_meet_up_to_the_size() -> None:
    """Jobs that wait for each other all find a thread, again and again, whatever was done before."""
    pool = WaitingPool(4, "pool-meet")
    for _ in range(20):
        together = threading.Barrier(4)
        assert not wait([pool.submit(together.wait, 10) for _ in range(4)], 10).not_done
        assert not wait([pool.submit(int) for _ in range(9)], 10).not_done
    assert count("pool-meet") <= 4


def test_more_jobs_than_threads_wait_their_turn() -> None:
    """Nothing is lost or called twice when all threads are busy; errors come back."""
    pool = WaitingPool(3, "pool-turn")
    jobs = [pool.submit(int, str(n)) for n in range(100)] + [pool.submit(int, "x")]
    assert [each.result(60) for each in jobs[:-1]] == list(range(100))
    with pytest.raises(ValueError, match="invalid literal"):
        jobs[-1].result(60)


def test_a_job_that_was_cancelled_is_not_called() -> None:
    """A job can be taken back until a thread begins it."""
    pool, gate, called = WaitingPool(1, "pool-cancel"), threading.Event(), list[int]()
    first = pool.submit(gate.wait, 10)
    second, third = pool.submit(called.append, 2), pool.submit(called.append, 3)
    assert second.cancel()
    gate.set()
    third.result(60)
    assert (first.result(60), called) == (True, [3])


def test_idle_threads_end_and_come_back(monkeypatch: Any) -> None:
    """A thread without work ends; the next jobs find new ones, as many as before."""
    monkeypatch.setattr(outside, "IDLE_SECONDS", 0.02)
    pool = WaitingPool(3, "pool-idle")
    for _ in range(5):
        jobs = [pool.submit(int) for _ in range(10)]
        together = threading.Barrier(3)
        jobs += [pool.submit(together.wait, 10) for _ in range(3)]
        assert not wait(jobs, 10).not_done
        wait_until(lambda: count("pool-idle") == 0)
