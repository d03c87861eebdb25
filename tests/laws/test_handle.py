"""Handles: status and result of a run; and runs whose code is not there."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction

from durable_django import RunHandle
from durable_django.engine.operations import cancel_run
from durable_django.exceptions import ResultTimeout, RunCancelled, RunFailed, RunNotFound
from durable_django.models import Run
from durable_django.testing import advance
from tests.plugins.store import Store
from tests.quiet import QUIET


def declare_flow(declare: Any) -> Any:
    @declare(retries=0)
    def flow(ctx: Any) -> Any:
        yield ctx.step.run("one", int)
        if ctx.event.data.get("fail"):
            raise KeyError("lost")
        if ctx.event.data.get("sleep"):
            yield ctx.step.sleep("nap", ctx.event.data["sleep"])
        return {"n": ctx.event.data.get("n")}

    return flow


async def read_async(handle: RunHandle, seconds: float) -> Any:
    try:
        return await handle.aresult(seconds)
    finally:
        await sync_to_async(connections.close_all)()


def read(handle: RunHandle, timeout: float, form: str) -> Any:
    return handle.result(timeout) if form == "sync" else asyncio.run(read_async(handle, timeout))


@pytest.mark.parametrize("form", ["sync", "async"])
def test_a_result_is_what_the_workflow_returned(declare: Any, form: str) -> None:
    """result() and aresult() give the output, at once if it is there and else as soon as it is."""
    flow = declare_flow(declare)
    handle = flow.start({"n": 3})
    assert handle.status == "completed"
    assert read(handle, 0, form) == {"n": 3}
    assert read(flow.start({"n": 4, "sleep": 60}), 5, form) == {"n": 4}
    assert read(RunHandle(handle.id), 0, form) == {"n": 3}


@pytest.mark.parametrize("form", ["sync", "async"])
def test_a_failed_run_raises_what_happened(declare: Any, form: str) -> None:
    """The error of a failed run names its type and message and carries the stack."""
    with pytest.raises(RunFailed, match="KeyError: 'lost'") as caught:
        read(declare_flow(declare).start({"fail": True}), 5, form)
    assert caught.value.code == "run_failed"
    assert 'raise KeyError("lost")' in caught.value.details["told"]["stack"]


@pytest.mark.parametrize("form", ["sync", "async"])
def test_a_cancelled_run_raises_why(declare: Any, form: str) -> None:
    """The error of a cancelled run gives the reason."""
    handle = declare_flow(declare).start({"sleep": "1h"})
    cancel_run(handle.id, actor="me", reason="no longer wanted")
    with pytest.raises(RunCancelled, match="no longer wanted"):
        read(handle, 5, form)


@pytest.mark.parametrize("form", ["sync", "async"])
def test_a_result_is_not_waited_for_longer_than_asked(declare: Any, form: str) -> None:
    """At its time-out result() raises, which is a TimeoutError too, and the run goes on."""
    handle = declare_flow(declare).start({"sleep": "1h"})
    began = time.monotonic()
    with pytest.raises(ResultTimeout) as caught:
        read(handle, 0.1, form)
    assert 0.1 <= time.monotonic() - began < 20
    assert isinstance(caught.value, TimeoutError)
    advance("2h")
    assert read(handle, 0, form) == {"n": None}


def test_a_run_that_is_not_stored_is_a_coded_error(store: Store, declare: Any) -> None:
    """A handle whose start was rolled back finds no run."""
    with transaction.atomic(using=store.alias):
        handle = declare_flow(declare).start()
        transaction.set_rollback(True, using=store.alias)
    with pytest.raises(RunNotFound):
        handle.result(0)
    with pytest.raises(RunNotFound):
        _ = handle.status


def test_one_key_is_one_run(declare: Any) -> None:
    """start(key=) returns the run that has the key; it keeps its first input."""
    flow = declare_flow(declare)
    first, second = flow.start({"n": 1}, key="k"), flow.start({"n": 2}, key="k")
    assert first.id == second.id
    assert second.result(0) == {"n": 1}
    assert flow.start({"n": 3}, key="other").result(0) == {"n": 3}
    assert Run.objects.count() == 2


def test_a_run_whose_code_is_gone_waits_for_it(declare: Any, registry: Any, configure: Any) -> None:
    """Without its workflow a run is put aside, however long, and goes on when the code is back (F50)."""
    flow = declare_flow(declare)
    handle = flow.start({"n": 1, "sleep": "1h"})
    known = registry.snapshot()
    registry.restore({})
    for _ in range(8):
        advance("2h")
        run = Run.objects.get()
        assert (run.status, run.waits_for, run.crash_count, run.owner) == ("waiting", "code", 0, "")
    registry.restore(known)
    advance("2m")
    assert handle.result(0) == {"n": 1}


def test_a_new_run_whose_code_is_gone_waits_too(declare: Any, registry: Any, configure: Any) -> None:
    """A run that was never executed keeps its input while its code is missing."""
    configure(DISPATCHER=QUIET)
    handle = declare_flow(declare).start({"n": 1})
    known = registry.snapshot()
    registry.restore({})
    configure(DISPATCHER="inline")
    advance(0)
    assert Run.objects.get().waits_for == "code"
    registry.restore(known)
    advance("2m")
    assert handle.result(0) == {"n": 1}
