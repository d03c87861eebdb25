"""Keys of the HTTP API: look one up, note its use, and take what it may send.

Note [A bucket is one number]
    A key that may send ``rate`` events a second, ``burst`` at once, has one number: the instant at which
    the whole burst is there again. Sending n events moves it by n / rate seconds, and is refused if it would
    then lie more than burst / rate seconds ahead. One conditional update decides, so requests at the same
    time, on whatever hosts, take turns at the row. A request of more events than the burst takes a full
    bucket and is paid off afterwards: no request waits for ever, and the rate holds in the long run. Repeated
    after an ambiguous commit it may take twice, which errs on the side of the limit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from ..clock import later_sql, now_sql, read_time
from .base import cursor, is_postgres
from .prepared import Statement
from .retrying import repeatable

KEY = "durable_django_accesskey"
_COLUMNS = (
    "id, prefix, name, digest, scopes, event_patterns, networks, expires_at, revoked_at, used_at, "
    "rate, burst, busy_until"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A stored key as it was at ``now`` by the database's clock."""

    id: int
    prefix: str
    name: str
    digest: str
    scopes: Sequence[str]
    event_patterns: Sequence[str]
    networks: Sequence[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None
    rate: float | None
    burst: int | None
    busy_until: float
    now: datetime


def find_key(using: str, prefix: str) -> KeyRow | None:
    """Return the key with this prefix, live or not."""
    now = now_sql(_vendor(using))
    with cursor(using) as handle:
        if is_postgres(using):
            _find_statement(now).execute(using, handle, [prefix])
        else:
            handle.execute(f"SELECT {_COLUMNS}, {now} FROM {KEY} WHERE prefix = %s", [prefix])
        row = handle.fetchone()
    return _read(row) if row else None


@lru_cache(maxsize=4)
def _find_statement(now: str) -> Statement:
    return Statement(f"SELECT {_COLUMNS}, {now} FROM {KEY} WHERE prefix = %s::text", f"SELECT {KEY}")


def note_use(using: str, key_id: int, *, older_than: float) -> None:
    """Note that the key is used now, unless that was noted in the last ``older_than`` seconds."""
    vendor = _vendor(using)
    with cursor(using) as handle:
        handle.execute(
            f"UPDATE {KEY} SET used_at = {now_sql(vendor)} "
            f"WHERE id = %s AND (used_at IS NULL OR used_at <= {later_sql(vendor, '%s')})",
            [key_id, -older_than],
        )


@repeatable
def take_tokens(using: str, key: KeyRow, count: int) -> float:
    """Take the right to send ``count`` events.

    Returns:
        0.0 if it was taken, otherwise the seconds after which it may be there.
    """
    if not key.rate or not count:
        return 0.0
    cost, room = count / key.rate, measure_room(key, count)
    now = _epoch_sql(_vendor(using))
    with cursor(using) as handle:
        handle.execute(
            f"UPDATE {KEY} SET busy_until = CASE WHEN busy_until > {now} THEN busy_until ELSE {now} END + %s "
            f"WHERE id = %s AND busy_until <= {now} + %s",
            [cost, key.id, room],
        )
        if handle.rowcount:
            return 0.0
        handle.execute(f"SELECT busy_until - {now} - %s FROM {KEY} WHERE id = %s", [room, key.id])
        row = handle.fetchone()
    return max(float(row[0]), 0.001) if row else 0.001


def measure_room(key: KeyRow, count: int) -> float:
    """Return how far ahead, in seconds, the number of the key's bucket may lie for ``count`` to be taken."""
    return max((key.burst or 1) - count, 0) / key.rate if key.rate else 0.0


def _read(row: Sequence[Any]) -> KeyRow:
    number, prefix, name, digest, scopes, patterns, networks, expires, revoked, used, *bucket, now = row
    return KeyRow(
        id=number,
        prefix=prefix,
        name=name,
        digest=digest,
        scopes=json.loads(scopes),
        event_patterns=json.loads(patterns),
        networks=json.loads(networks),
        expires_at=read_time(expires) if expires else None,
        revoked_at=read_time(revoked) if revoked else None,
        used_at=read_time(used) if used else None,
        rate=bucket[0],
        burst=bucket[1],
        busy_until=bucket[2],
        now=read_time(now),
    )


def _epoch_sql(vendor: str) -> str:
    now = now_sql(vendor)
    if vendor == "sqlite":
        return f"((julianday({now}) - 2440587.5) * 86400.0)"
    return f"EXTRACT(EPOCH FROM {now})::float8"


def _vendor(using: str) -> str:
    return "postgresql" if is_postgres(using) else "sqlite"
