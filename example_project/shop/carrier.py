"""Stands in for a parcel carrier's HTTP API, which honours idempotency keys."""

from __future__ import annotations

import hashlib


def book(reference: str, idempotency_key: str) -> str:
    """Return the tracking number of the parcel; the same key always yields the same parcel.

    Args:
        reference: printed on the label.
        idempotency_key: names this request across retries.
    """
    return "EX" + hashlib.sha256(f"{reference}/{idempotency_key}".encode()).hexdigest()[:16].upper()
