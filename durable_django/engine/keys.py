"""Make, list, revoke and rotate the keys of the HTTP API; each change is in the operator log."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from typing import Final

from django.db import transaction
from django.db.models import Q

from ..clock import Now, read_now
from ..exceptions import InvalidKey, KeyNotFound
from ..models import AccessKey, AuditEntry
from .alias import get_alias
from .verify_key import PREFIX_LENGTH, hash_key

SCOPES: Final = ("ingest", "read", "operate")
"""Send events; look at events and runs; change runs, start workflows and send signals."""
NAME_LENGTH: Final = 80
SLOWEST, FASTEST = 1 / 86_400, 1e6
"""Events a second: one a day, and more than any store takes."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key and its text, which is stored nowhere: this is the only time that it can be shown."""

    key: AccessKey
    text: str


def create_key(
    name: str,
    *,
    actor: str,
    scopes: Sequence[str] = ("ingest",),
    event_patterns: Sequence[str] = (),
    networks: Sequence[str] = (),
    rate: float | None = None,
    burst: int | None = None,
    expires_in: timedelta | None = None,
    using: str | None = None,
) -> NewKey:
    """Make a key; several of one name may live at once.

    Args:
        event_patterns: Names of events it may send, with ``*`` for anything; empty: all.
        networks: Address blocks it may come from, such as ``10.0.0.0/8``; empty: all.
        rate: Events that it may send in a second; None: any number.
        burst: Events that it may send at once; None: those of a second, at least one.
        expires_in: From now, by the database's clock.

    Raises:
        InvalidKey: The name, a scope, a network or the rate cannot be used.
    """
    using = using or get_alias()
    _check(name, scopes, networks)
    _check_rate(rate, burst)
    with transaction.atomic(using=using):
        made = _insert(
            using,
            name=name,
            scopes=list(dict.fromkeys(scopes)),
            event_patterns=list(event_patterns),
            networks=list(networks),
            rate=rate,
            burst=rate and (burst or max(1, round(rate))),
            expires_at=None if expires_in is None else read_now(using) + expires_in,
        )
        _audit(using, actor, "create key", made.key)
    return made


def list_keys(using: str | None = None) -> list[AccessKey]:
    """Return all keys, the newest first; revoked ones too."""
    return list(AccessKey.objects.using(using or get_alias()).order_by("-id"))


def revoke_key(name: str, *, actor: str, using: str | None = None) -> AccessKey:
    """End a key at once.

    Args:
        name: Its prefix, or its name if only one live key has it.

    Raises:
        KeyNotFound: No live key, or more than one, goes by it.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        key = _find_live(using, name)
        AccessKey.objects.using(using).filter(id=key.id).update(revoked_at=Now())
        _audit(using, actor, "revoke key", key)
    key.refresh_from_db(using=using)
    return key


def rotate_key(name: str, *, actor: str, overlap: timedelta, using: str | None = None) -> NewKey:
    """Make a successor with the same rights; the old key ends after ``overlap``.

    Raises:
        KeyNotFound: No live key, or more than one, goes by the prefix or name.
    """
    using = using or get_alias()
    with transaction.atomic(using=using):
        old, now = _find_live(using, name), read_now(using)
        lasts = None if old.expires_at is None else old.expires_at - old.created_at
        made = _insert(
            using,
            name=old.name,
            scopes=old.scopes,
            event_patterns=old.event_patterns,
            networks=old.networks,
            rate=old.rate,
            burst=old.burst,
            expires_at=None if lasts is None else now + lasts,
        )
        if old.expires_at is None or now + overlap < old.expires_at:
            # By the clock of the statements that ask for it, so that a key which ends now has ended for the next one.
            AccessKey.objects.using(using).filter(id=old.id).update(expires_at=Now() + overlap)
        _audit(using, actor, "rotate key", made.key, f"in place of {old.prefix}")
    return made


def _insert(using: str, **fields: object) -> NewKey:
    prefix = f"dk_{secrets.token_hex(6)}"
    assert len(prefix) == PREFIX_LENGTH
    text = f"{prefix}_{secrets.token_urlsafe(32)}"
    key = AccessKey(prefix=prefix, digest=hash_key(text), **fields)
    key.save(using=using, force_insert=True)
    key.refresh_from_db(using=using)
    return NewKey(key, text)


def _find_live(using: str, name: str) -> AccessKey:
    live = Q(expires_at=None) | Q(expires_at__gt=Now())
    named = Q(prefix=name) | Q(name=name)
    found = list(AccessKey.objects.using(using).select_for_update().filter(live, named, revoked_at=None)[:2])
    if len(found) != 1:
        raise KeyNotFound(name=name, count="Several" if found else "No")
    return found[0]


def _check(name: str, scopes: Sequence[str], networks: Sequence[str]) -> None:
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable():
        raise InvalidKey(reason=f"its name must have 1 to {NAME_LENGTH} printable characters")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise InvalidKey(reason=f"its scopes are {', '.join(unknown) or 'missing'}; use {', '.join(SCOPES)}")
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise InvalidKey(reason=f"{error}") from error


def _check_rate(rate: float | None, burst: int | None) -> None:
    if rate is None and burst is not None:
        raise InvalidKey(reason="a burst goes with a rate")
    if rate is not None and not (math.isfinite(rate) and SLOWEST <= rate <= FASTEST):
        raise InvalidKey(reason=f"its rate is {rate:g} events a second, not from {SLOWEST:g} to {FASTEST:g}")
    if burst is not None and not 0 < burst < 2**31:
        raise InvalidKey(reason=f"its burst is {burst}, not from 1 to {2**31 - 1}")


def _audit(using: str, actor: str, action: str, key: AccessKey, more: str = "") -> None:
    result = f"{key.prefix} {key.name} {','.join(key.scopes)} {more}".strip()
    AuditEntry.objects.using(using).create(actor=actor[:120], action=action, result=result[:255])
