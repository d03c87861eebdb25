"""Random programs, and what each of them must leave behind; both follow from a seed alone.

A program is a list of operations, each ``[verb, *arguments]``, which travels as the data of an event.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Ops = list[list[Any]]

LEAVES = {
    "run": 6,
    "slow": 3,
    "atomic": 6,
    "flaky": 2,
    "fail": 1,
    "sleep": 3,
    "timeout": 1,
    "patience": 3,
    "ask": 3,
    "ask_late": 2,
    "signal": 2,
    "any": 1,
    "all": 1,
    "send": 2,
    "fetch": 1,
}
GROUPS = {"loop": 2, "parallel": 3, "workers": 1, "invoke": 2}
QUIET = ("run", "slow", "atomic", "flaky", "sleep", "parallel", "loop")
"""Verbs that involve no other run; a program that will be cancelled has no others."""


@dataclass
class Program:
    """A program, its kind of function ("def" or "async"), and how it must end."""

    seed: str
    kind: str
    end: str  # "completed", "failed" or "cancelled"
    ops: Ops

    @property
    def event(self) -> dict[str, Any]:
        """The event that starts it, which may be sent any number of times."""
        data = {"seed": self.seed, "ops": self.ops, "kind": self.kind}
        return {"name": f"chaos/{self.end}.{self.kind}", "id": f"chaos-{self.seed}", "data": data}


@dataclass
class Expected:
    """What must be there at the end: ``once`` are keys of effects, ``runs`` numbers of runs by workflow."""

    result: list[Any] = field(default_factory=list)
    once: list[str] = field(default_factory=list)
    least: list[str] = field(default_factory=list)
    runs: Counter[str] = field(default_factory=Counter)


def generate(seed: str) -> Program:
    """Return the program of a seed."""
    rng = random.Random(seed)
    end = rng.choices(["completed", "failed", "cancelled"], [10, 1, 2])[0]
    ops = _generate_ops(rng, 0, quiet=end == "cancelled")
    return Program(seed, rng.choice(["def", "def", "async"]), end, ops)


def _generate_ops(rng: random.Random, depth: int, *, quiet: bool) -> Ops:
    return [_generate_op(rng, depth, quiet) for _ in range(rng.randint(1, 4 - depth))]


def _generate_op(rng: random.Random, depth: int, quiet: bool) -> list[Any]:
    known = LEAVES | (GROUPS if depth < 2 else {})
    weights = {verb: weight for verb, weight in known.items() if not quiet or verb in QUIET}
    verb = rng.choices(list(weights), list(weights.values()))[0]
    return [verb, *_choose_arguments(rng, verb, depth, quiet)]


def _choose_arguments(rng: random.Random, verb: str, depth: int, quiet: bool) -> list[Any]:
    match verb:
        case "flaky":
            return [rng.randint(1, 2), rng.random() < 0.5]
        case "sleep":
            return [rng.choice([0, 20, 200, 1_000])]
        case "send" | "all":
            return [rng.randint(1, 3)]
        case "workers":
            return [rng.randint(2, 3)]
        case "loop":
            return [rng.randint(1, 3), _generate_ops(rng, depth + 1, quiet=quiet)]
        case "invoke":
            return [_generate_ops(rng, depth + 1, quiet=quiet)]
        case "parallel":
            return [[_generate_ops(rng, depth + 1, quiet=quiet) for _ in range(rng.randint(2, 3))]]
    return []


def expect(program: Program) -> Expected:
    """Return what the program must leave behind."""
    found = Expected()
    found.runs[f"chaos-{program.end}-{program.kind}"] += 1
    if program.end == "cancelled":
        found.runs["chaos-reaper"] += 1
    found.result = _expect_ops(found, program.ops, program.seed, program.kind)
    if program.end == "failed":
        found.once.append(f"failure {program.seed}")
        found.runs[f"chaos-failed-{program.kind}/on-failure"] += 1
    return found


def _expect_ops(found: Expected, ops: Ops, place: str, kind: str) -> list[Any]:
    return [_expect_op(found, op, f"{place}.{number}", kind) for number, op in enumerate(ops)]


def _expect_op(found: Expected, op: list[Any], here: str, kind: str) -> Any:
    verb, *arguments = op
    return _EXPECT[verb](found, here, kind, *arguments)


def _expect_effect(name: str, *, once: bool) -> Any:
    def expect_effect(found: Expected, here: str, kind: str) -> str:
        (found.once if once else found.least).append(f"{name} {here}")
        return f"{name} {here}"

    return expect_effect


def _expect_flaky(found: Expected, here: str, kind: str, times: int, atomic: bool) -> str:
    (found.once if atomic else found.least).append(f"flaky {here}")
    return f"flaky {here}"


def _expect_fail(found: Expected, here: str, kind: str) -> list[str]:
    return ["ValueError", here]


def _expect_nothing(found: Expected, here: str, kind: str, milliseconds: int = 0) -> None:
    return None


def _expect_ask(found: Expected, here: str, kind: str) -> str:
    found.runs["chaos-ask"] += 1
    return here


def _expect_signal(found: Expected, here: str, kind: str) -> str:
    found.runs["chaos-signal"] += 1
    return here


def _expect_any(found: Expected, here: str, kind: str) -> list[Any]:
    return [1, _expect_ask(found, here, kind)]


def _expect_all(found: Expected, here: str, kind: str, number: int) -> list[str]:
    return [_expect_ask(found, f"{here}.{each}", kind) for each in range(number)]


def _expect_send(found: Expected, here: str, kind: str, number: int) -> int:
    found.runs["chaos-note"] += number
    found.once += [f"noted {here}.{each}" for each in range(number)]
    return number


def _expect_fetch(found: Expected, here: str, kind: str) -> str:
    return f"/{here}"


def _expect_workers(found: Expected, here: str, kind: str, number: int) -> list[str]:
    found.runs["durable/step"] += number
    keys = [f"remote {here}.{each}" for each in range(number)]
    found.once += keys
    return keys


def _expect_loop(found: Expected, here: str, kind: str, times: int, ops: Ops) -> list[Any]:
    return [_expect_ops(found, ops, f"{here}.{turn}", kind) for turn in range(times)]


def _expect_invoke(found: Expected, here: str, kind: str, ops: Ops) -> list[Any]:
    found.runs[f"chaos-child-{kind}"] += 1
    return _expect_ops(found, ops, here, kind)


def _expect_parallel(found: Expected, here: str, kind: str, branches: list[Ops]) -> list[Any]:
    return [_expect_ops(found, ops, f"{here}.{number}", kind) for number, ops in enumerate(branches)]


_EXPECT: dict[str, Any] = {
    "run": _expect_effect("plain", once=False),
    "slow": _expect_effect("slow", once=False),
    "atomic": _expect_effect("atomic", once=True),
    "flaky": _expect_flaky,
    "fail": _expect_fail,
    "sleep": _expect_nothing,
    "timeout": _expect_nothing,
    "patience": _expect_nothing,
    "ask": _expect_ask,
    "ask_late": _expect_ask,
    "signal": _expect_signal,
    "any": _expect_any,
    "all": _expect_all,
    "send": _expect_send,
    "fetch": _expect_fetch,
    "workers": _expect_workers,
    "loop": _expect_loop,
    "invoke": _expect_invoke,
    "parallel": _expect_parallel,
}
