"""Long tests begin early, so that none of them is what everybody waits for at the end.

Each process of pytest-xdist gets a share of the tests, one after the other in the order of the collection, and whoever
is done takes from the end of another's. So the long tests, which are those with a time-out of their own, are
dealt out over the first part of each share, with short ones between them: side by side they would starve each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pytest

Item = TypeVar("Item")

EARLY = 0.5
"""The part of a share in which its long tests lie."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    shares = getattr(config, "workerinput", {}).get("workercount", 1)
    usual = float(config.getini("timeout"))
    items[:] = deal(items, [max(_read_timeout(each, usual) - usual, 0.0) for each in items], shares)


def _read_timeout(item: pytest.Item, usual: float) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark and mark.args else usual


def deal(items: Sequence[Item], lengths: Sequence[float], shares: int) -> list[Item]:
    """Return the items in an order in which each share has as many long ones in its first part, the longest first.

    Those of length 0 are short, and stay in the order that they have.
    """
    pairs = list(zip(items, lengths, strict=True))
    longs = [item for item, length in sorted(pairs, key=lambda pair: -pair[1]) if length]
    shorts = [item for item, length in pairs if not length]
    dealt: list[Item] = []
    for number in range(shares):
        taken = longs[shares - 1 - number :: shares]
        size = (len(items) - len(dealt)) // (shares - number)  # as pytest-xdist cuts
        room = size - len(taken)
        dealt += _spread(taken, shorts[:room])
        del shorts[:room]
    return dealt


def _spread(longs: Sequence[Item], shorts: Sequence[Item]) -> list[Item]:
    gap = int(EARLY * len(shorts) / max(len(longs), 1))
    spread: list[Item] = []
    for number, item in enumerate(longs):
        spread += [item, *shorts[number * gap : (number + 1) * gap]]
    return [*spread, *shorts[len(longs) * gap :]]
