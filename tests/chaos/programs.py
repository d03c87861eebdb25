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
    found.result = _expect_ops(found, program.ops, program.seed, program.kind)
    if program.end == "failed":
        found.once.append(f"failure {program.seed}")
        found.runs[f"chaos-failed-{program.kind}/on-failure"] += 1
    if program.end == "cancelled":
        found.runs["chaos-reaper"] += 1
    return found


def _expect_ops(found: Expected, ops: Ops, place: str, kind: str) -> list[Any]:
    return [_expect_op(found, op, f"{place}.{number}", kind) for number, op in enumerate(ops)]


def _expect_op(found: Expected, op: list[Any], here: str, kind: str) -> Any:
    match op:
        case ["run"]:
            found.least.append(f"plain {here}")
            return f"plain {here}"
        case ["slow"]:
            found.least.append(f"slow {here}")
            return f"slow {here}"
        case ["atomic"]:
            found.once.append(f"atomic {here}")
            return f"atomic {here}"
        case ["flaky", _, atomic]:
            (found.once if atomic else found.least).append(f"flaky {here}")
            return f"flaky {here}"
        case ["fail"]:
            return ["ValueError", here]
        case ["sleep", _] | ["timeout"]:
            return None
        case ["ask"] | ["ask_late"] | ["signal"]:
            found.runs[f"chaos-{op[0].removesuffix('_late')}"] += 1
            return here
        case ["any"]:
            found.runs["chaos-ask"] += 1
            return [1, here]
        case ["all", number]:
            found.runs["chaos-ask"] += number
            return [f"{here}.{each}" for each in range(number)]
        case ["send", number]:
            found.runs["chaos-note"] += number
            found.once += [f"noted {here}.{each}" for each in range(number)]
            return number
        case ["fetch"]:
            return f"/{here}"
        case ["workers", number]:
            found.runs["durable/step"] += number
            found.once += [f"remote {here}.{each}" for each in range(number)]
            return [f"remote {here}.{each}" for each in range(number)]
        case ["loop", times, inner]:
            return [_expect_ops(found, inner, f"{here}.{turn}", kind) for turn in range(times)]
        case ["invoke", inner]:
            found.runs[f"chaos-child-{kind}"] += 1
            return _expect_ops(found, inner, here, kind)
        case ["parallel", branches]:
            return [
                _expect_ops(found, each, f"{here}.{number}", kind) for number, each in enumerate(branches)
            ]
    raise AssertionError(op)
