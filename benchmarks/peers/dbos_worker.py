"""DBOS at its best settings found: direct starts, no admin server, its own thread pool, WAL on SQLite.

It speaks the lines of ``benchmarks.worker``; ``go`` does the work and answers with its seconds. What it returns is
checked here, so a run that did not do all its work ends without a figure.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any

from dbos import DBOS, DBOSConfig

PADDING = "x" * 90
told: dict[str, Any] = json.loads(os.environ["DURABLE_BENCHMARK"])


@DBOS.step()
def answer(number: int) -> str:
    return f"{PADDING}{number}"


@DBOS.step()
async def aanswer(number: int) -> str:
    return f"{PADDING}{number}"


@DBOS.workflow()
def steps_in_thread(steps: int) -> int:
    return sum(len(answer(n)) for n in range(steps))


@DBOS.workflow()
async def steps_on_loop(steps: int) -> int:
    total = 0
    for n in range(steps):
        total += len(await aanswer(n))
    return total


@DBOS.workflow()
async def branch_on_loop(steps: int) -> int:
    return sum(map(len, await asyncio.gather(*[aanswer(n) for n in range(steps)])))


@DBOS.workflow()
def wait() -> Any:
    return DBOS.recv("answer", timeout_seconds=600)


def run_threads(runs: int, steps: int) -> list[Any]:
    handles = [DBOS.start_workflow(steps_in_thread, steps) for _ in range(runs)]
    return [handle.get_result() for handle in handles]


async def run_loop(workflow: Any, runs: int, steps: int) -> list[Any]:
    room = asyncio.Semaphore(told.get("tasks", 64))

    async def one() -> Any:
        async with room:
            handle = await DBOS.start_workflow_async(workflow, steps)
            return await handle.get_result()

    return list(await asyncio.gather(*[one() for _ in range(runs)]))


def run_waits(runs: int) -> tuple[float, list[Any]]:
    handles = [DBOS.start_workflow(wait) for _ in range(runs)]
    time.sleep(3)
    began = time.perf_counter()
    for number, handle in enumerate(handles):
        DBOS.send(handle.workflow_id, number, "answer")
    return began, [handle.get_result() for handle in handles]


def work() -> float:
    runs, steps, kind = told["runs"], told["steps"], told["kind"]
    expected: list[Any] = [sum(len(PADDING) + len(str(n)) for n in range(steps))] * runs
    began = time.perf_counter()
    if kind == "def":
        results = run_threads(runs, steps)
    elif kind == "wait":
        expected = list(range(runs))
        began, results = run_waits(runs)
    else:
        workflow = steps_on_loop if kind == "async" else branch_on_loop
        results = asyncio.run(run_loop(workflow, runs, steps))
    seconds = time.perf_counter() - began
    if results != expected:
        raise SystemExit("results are missing or wrong: no figure")
    return seconds


def main() -> None:
    url = told["url"].replace("postgres://", "postgresql://")
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": url,
        "run_admin_server": False,
        "log_level": "ERROR",
        "max_executor_threads": told.get("threads", 64),
    }
    DBOS(config=config)
    DBOS.launch()
    if url.startswith("sqlite"):
        import sqlite3

        sqlite3.connect(url.removeprefix("sqlite:///")).execute("PRAGMA journal_mode=WAL").close()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        answer = {"version": version("dbos")}
        if line.strip() == "go":
            before = time.process_time()
            answer |= {"seconds": work(), "cpu": time.process_time() - before}
        print(json.dumps(answer), flush=True)
        if line.strip() == "stop":
            break
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
