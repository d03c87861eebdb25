"""Absurd: its worker loop with many claims at once; see ``dbos_worker`` for the lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from absurd_sdk import Absurd

PADDING = "x" * 90
told: dict[str, Any] = json.loads(os.environ["DURABLE_BENCHMARK"])


def declare(app: Any) -> None:
    @app.register_task(name="steps")
    def steps(params: Any, ctx: Any) -> int:
        total = 0
        for n in range(params["steps"]):
            total += len(ctx.step(f"s{n}", lambda n=n: f"{PADDING}{n}"))
        return total


def work(url: str) -> float:
    runs, steps = told["runs"], told["steps"]
    client = Absurd(url, queue_name="bench")
    declare(client)
    for _ in range(runs):
        client.spawn("steps", {"steps": steps})
    apps = [Absurd(url, queue_name="bench") for _ in range(told.get("threads", 8))]
    for app in apps:
        declare(app)
    began = time.perf_counter()
    for app in apps:
        options = {"concurrency": 1, "poll_interval": 0.01, "batch_size": 1}
        threading.Thread(target=app.start_worker, kwargs=options, daemon=True).start()
    expected = sum(len(PADDING) + len(str(n)) for n in range(steps))
    with psycopg.connect(url, autocommit=True) as connection:
        sql = "SELECT COUNT(*) FILTER (WHERE state = 'completed' AND completed_payload = %s) FROM absurd.t_bench"
        while connection.execute(sql, [json.dumps(expected)]).fetchone() != (runs,):
            if time.perf_counter() - began > 300:
                raise SystemExit("results are missing or wrong: no figure")
            time.sleep(0.02)
    return time.perf_counter() - began


def main() -> None:
    url = told["url"].replace("postgres://", "postgresql://")
    absurdctl = [sys.executable, "-m", "absurdctl"]
    beside = Path(sys.executable).parent / "absurdctl"
    command = [str(beside)] if beside.exists() else absurdctl
    for words in (["init"], ["create-queue", "bench"]):
        subprocess.run([*command, *words, "-d", url], check=True, stdout=subprocess.DEVNULL)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        answer = {"version": version("absurd-sdk")}
        if line.strip() == "go":
            before = time.process_time()
            answer |= {"seconds": work(url), "cpu": time.process_time() - before}
        print(json.dumps(answer), flush=True)
        if line.strip() == "stop":
            break
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
