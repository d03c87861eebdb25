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


def judge(scene: Scene, base: Any, *, faults: int | None = None) -> None:
    """Raise AssertionError unless all is right; without ``base``, keep what was left for later judgements.

    ``faults`` is how many statements failed, if not a process died; each may have cost an attempt.
    """
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
    for part in ("runs", "steps", "links", "rows", "names", "keys"):
        _expect(told[part], base[part], part)
    if faults is None:
        _expect(told["attempts"], base["attempts"], "attempts")
    else:
        more = len(told["attempts"]) - len(base["attempts"])
        assert 0 <= more <= faults, f"{faults} faults, but {more} attempts more: {told['attempts']}"
    if faults is None:
        _judge_repeats(counts, base["counts"], THREADS)
    else:
        # A scene that fails its first attempt is spared that by a fault that took the attempt's place.
        _judge_repeats(counts, base["counts"], max(faults, THREADS), missing=faults)


def _judge_repeats(counts: Counter[str], base: dict[str, int], most: int, missing: int = 0) -> None:
    """A step runs again only if it was under way when the process died."""
    extra = {name: count - base[name] for name, count in counts.items() if count != base[name]}
    assert all(count >= -missing for count in extra.values()), f"an effect is missing: {extra}"
    assert sum(extra.values()) <= most, f"completed steps ran again: {extra}"


def _expect(found: Any, wanted: Any, what: str) -> None:
    assert found == wanted, f"{what}:\nfound  {found}\nwanted {wanted}"
