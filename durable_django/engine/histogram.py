"""Lengths of time in buckets that grow by a fifth, so that percentiles can be added up. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

STEPS: Final = 4
"""Buckets for each doubling."""


def find_bucket(seconds: float) -> int:
    """Return the number of the bucket of a length; 0 holds all up to a millisecond."""
    return 0 if seconds <= 0.001 else math.floor(math.log2(seconds * 1000) * STEPS)


def merge(histograms: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of histograms, each bucket number to count."""
    total: dict[str, int] = {}
    for each in histograms:
        for bucket, count in each.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def find_percentile(histogram: Mapping[str, int], percent: float) -> float | None:
    """Return the length in seconds that so many percent do not exceed, to a tenth; None without any."""
    number = sum(histogram.values())
    if not number:
        return None
    wanted, passed = number * percent / 100, 0
    for bucket in sorted(histogram, key=int):
        passed += histogram[bucket]
        if passed >= wanted:
            # The middle of the bucket, on the scale on which the buckets are equally wide.
            return float(2 ** ((int(bucket) + 0.5) / STEPS) / 1000)
    return None
