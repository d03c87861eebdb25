"""Judge what a play left behind: by the oracle, by the scene's own words, and by a play without a crash."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from durable_django.engine.invariants import find_violations
from tests.crash import world
from tests.crash.play import tell
from tests.crash.scene import Scene

THREADS = 3
"""Step functions that may be under way at once when a player dies."""


def judge(scene: Scene, base: Any) -> None:
    """Raise AssertionError unless all is right; without ``base``, keep what was left for later judgements."""
    told = json.loads(json.dumps(tell()))
    _expect(find_violations("default", live=False), [], "the oracle's findings")
    if scene.expected:
        _expect(told["runs"], sorted(map(list, scene.expected), key=str), "runs")
    counts = Counter(name for name, _ in world.read("ledger"))
    keys = {name: {key for each, key in world.read("ledger") if each == name} for name in counts}
    told["counts"] = dict(counts)
    told["keys"] = {name: len(found) for name, found in keys.items()}
    (world.folder / "told").write_text(json.dumps(told))
    if base is None:
        return
    for part in ("runs", "steps", "attempts", "rows", "names", "keys"):
        _expect(told[part], base[part], part)
    _judge_repeats(counts, base["counts"])


def _judge_repeats(counts: Counter[str], base: dict[str, int]) -> None:
    """A step runs again only if it was under way when the process died."""
    extra = {name: count - base[name] for name, count in counts.items() if count != base[name]}
    assert all(count > 0 for count in extra.values()), f"an effect is missing: {extra}"
    assert sum(extra.values()) <= THREADS, f"completed steps ran again: {extra}"
    assert max(extra.values(), default=0) <= 1, f"a step ran more than once too often: {extra}"


def _expect(found: Any, wanted: Any, what: str) -> None:
    assert found == wanted, f"{what}:\nfound  {found}\nwanted {wanted}"
