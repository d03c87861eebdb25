"""The sentences of the behaviour page, for both kinds, on both stores, with every dispatcher."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.conformance.case import KINDS, Case
from tests.conformance.stage import Stage, play
from tests.conformance.table import CASES
from tests.plugins.conformance import CELL
from tests.plugins.store import Store

Make = Callable[[Case, str, str], Stage]
Record = Callable[[str, object], None]

AT_ONCE = 16
"""Cases that are played side by side under one Celery worker."""


def list_cases(engine: str) -> list[Any]:
    found = [(case, kind) for case in CASES.values() if engine in case.engines for kind in case.kinds]
    return [pytest.param(case, kind, id=f"{case.id}-{kind}") for case, kind in found]


def judge(stage: Stage, store: Store, record_property: Record) -> None:
    cell = f"{stage.kind} {store.name} {stage.engine}"
    try:
        play(stage)
    except BaseException:
        record_property(CELL, f"{cell} broken")
        raise
    record_property(CELL, f"{cell} held")


@pytest.mark.parametrize(("case", "kind"), list_cases("inline"))
def test_inline(case: Case, kind: str, make_stage: Make, store: Store, record_property: Record) -> None:
    """The sentence holds where the caller's thread executes."""
    judge(make_stage(case, kind, "inline"), store, record_property)


SUSPENDED = {"def": "sqlite", "async": "postgres"}
"""Where each kind is played suspended; ``--always-suspend`` plays every cell so."""
QUADRATIC = {"parallel-1000", "step-limit"}
"""Cases of a thousand steps, each of which would replay all of those before it."""


def list_suspended() -> list[Any]:
    found = [each.values for each in list_cases("inline")]
    return [
        pytest.param(case, kind, SUSPENDED[kind], id=f"{case.id}-{kind}-{SUSPENDED[kind]}")
        for case, kind in found
        if case.id not in QUADRATIC
    ]


@pytest.mark.parametrize(("case", "kind", "store"), list_suspended(), indirect=["store"])
def test_always_suspended(
    case: Case, kind: str, make_stage: Make, store: Store, suspended: Any, record_property: Record
) -> None:
    """The sentence holds where every run is stopped and replayed after each of its steps."""
    judge(make_stage(case, kind, "inline"), store, record_property)


@pytest.mark.parametrize(("case", "kind"), list_cases("local"))
def test_local(
    case: Case, kind: str, make_stage: Make, store: Store, local_worker: None, record_property: Record
) -> None:
    """The sentence holds under a worker of this process, with real threads and real time."""
    judge(make_stage(case, kind, "local"), store, record_property)


@pytest.mark.process
def test_celery(
    store: Store,
    make_stage: Make,
    celery_worker: Any,
    request: pytest.FixtureRequest,
    record_property: Record,
) -> None:
    """The sentences hold under a real Celery worker; cases and kinds are played side by side."""
    everything = request.config.getoption("--conformance") == "all"
    chosen = [each for each in CASES.values() if "celery" in each.engines and (everything or each.sample)]
    stages = [make_stage(case, kind, "celery") for case in chosen for kind in case.kinds]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(play_apart, stages))
    broken = []
    for stage, trouble in zip(stages, found, strict=True):
        verdict = "broken" if trouble else "held"
        record_property(CELL, f"{stage.kind} {store.name} celery {verdict}")
        if trouble:
            broken.append(f"--- {stage.place}: {stage.case.quote}\n{trouble}")
    if broken:
        worker = celery_worker.started[0]
        pytest.fail("\n".join([*broken, "--- the worker's last words", worker.text[-4_000:]]), pytrace=False)


def play_apart(stage: Stage) -> str:
    """Play a case on a thread of its own; return what went wrong."""
    try:
        play(stage)
    except BaseException:
        return traceback.format_exc(limit=-4)
    finally:
        connections.close_all()
    return ""


def test_every_case_quotes_the_page() -> None:
    """Each case stands for a sentence, has programs, and runs in at least one cell; ids fit all names."""
    for case in CASES.values():
        assert case.quote
        assert case.section in {"1", "2", "3", "4", "5", "7"}
        assert set(case.engines) <= {"inline", "local", "celery"}
        assert set(case.kinds) <= set(KINDS)
        assert len(case.id) < 40
    assert Path(__file__).parent.name == "conformance"
