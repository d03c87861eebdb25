"""The oracle: compares what is in the tables with what the programs must have left there."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import connection
from django.db.models import F, Q

from durable_django.models import Event, Run, Step, Wait, WaitKey, WaitStatus
from durable_django.models.run import ENDED
from tests.app.models import Effect
from tests.chaos.programs import Program, expect


def judge(programs: Sequence[Program]) -> list[str]:
    """Return a sentence for each violation."""
    return [*_judge_runs(programs), *_judge_effects(programs), *_judge_rows()]


def _judge_runs(programs: Sequence[Program]) -> Iterator[str]:
    roots = _read_roots()
    numbers: Counter[str] = Counter()
    for program in programs:
        expected = expect(program)
        numbers += expected.runs
        runs = roots.pop(program.seed, [])
        if len(runs) != 1:
            yield f"program {program.seed}: {len(runs)} runs"
            continue
        status, output, run_id = runs[0]
        if status != program.end:
            yield f"program {program.seed}: {status}, not {program.end} (run {run_id})"
        if program.end == "completed" and output != expected.result:
            yield f"program {program.seed}: returned {output}, not {expected.result} (run {run_id})"
    yield from (f"program {seed} was never sent" for seed in roots)
    stored = Counter(Run.objects.values_list("workflow", flat=True))
    for workflow in sorted(stored.keys() | numbers.keys()):
        if stored[workflow] != numbers[workflow]:
            yield f"{workflow}: {stored[workflow]} runs, not {numbers[workflow]}"
    others = Run.objects.exclude(status="completed").exclude(
        workflow__regex="^chaos-(failed|cancelled)-[a-z]+$"
    )
    yield from (f"run {run.id} of {run.workflow} is {run.status}" for run in others[:20])


def _read_roots() -> dict[str, list[tuple[str, Any, Any]]]:
    roots: dict[str, list[tuple[str, Any, Any]]] = defaultdict(list)
    runs = Run.objects.filter(workflow__regex="^chaos-(completed|failed|cancelled)-[a-z]+$")
    for each in runs.select_related("event", "result").iterator():
        result = getattr(each, "result", None)
        output = json.loads(result.output) if result and result.output else None
        roots[json.loads(each.event.data)["seed"]].append((each.status, output, each.id))
    return roots


def _judge_effects(programs: Sequence[Program]) -> Iterator[str]:
    numbers: Counter[str] = Counter()
    keys: dict[str, set[str]] = defaultdict(set)
    for key, step_key in Effect.objects.values_list("key", "run").iterator():
        numbers[key] += 1
        keys[key].add(step_key)
    for program in programs:
        expected = expect(program)
        least = 0 if program.end == "cancelled" else 1
        for key in expected.once:
            if not least <= numbers[key] <= 1:
                yield f"effect {key!r}: {numbers[key]} times, not once"
        for key in expected.least:
            if numbers[key] < least:
                yield f"effect {key!r}: never"
        for key in [*expected.once, *expected.least]:
            if len(keys.pop(key, ())) > 1:
                yield f"effect {key!r}: its step had several keys"
    yield from (f"effect {key!r}: nobody ordered it" for key in keys)


def _judge_rows() -> Iterator[str]:
    checks = {
        "runs that have not ended": Run.objects.exclude(status__in=ENDED),
        "events that were not routed": Event.objects.filter(routed_at=None),
        "open waits of ended runs": Wait.objects.filter(status=WaitStatus.OPEN),
        "keys of ended waits": WaitKey.objects.all(),
        "steps that began after their run had ended": Step.objects.filter(started_at__gt=F("run__ended_at")),
        "steps of a later owner than the run's last": Step.objects.filter(token__gt=F("run__token")),
        "steps of completed runs that are not done": Step.objects.filter(
            ~Q(status__in=["completed", "failed"]), ~Q(kind="sleep"), run__status="completed"
        ),
        "sleeps that were too short": Step.objects.filter(
            kind="sleep", ready_at__gt=F("run__ended_at")
        ).exclude(run__status="cancelled"),
    }
    for what, rows in checks.items():
        if number := rows.count():
            yield f"{what}: {number}, such as {rows[0].pk}"
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            if (said := cursor.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                yield f"SQLite: {said}"
    yield from _ask_the_command()


def _ask_the_command() -> Iterator[str]:
    try:
        from durable_django.engine.invariants import find_violations
    except ImportError:
        return
    for each in find_violations("default", live=False):
        yield f"check_data: {each}"
