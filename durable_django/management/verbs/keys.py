"""``durable keys``: make, list, revoke and rotate the keys of the HTTP API."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import CommandError

from ...engine.alias import get_alias
from ...engine.keys import SCOPES, NewKey, create_key, list_keys, revoke_key, rotate_key
from ...engine.words import say_instant
from ...models import AccessKey
from ..actor import get_actor
from ..arguments import read_rate, read_seconds
from ..console import Console

HELP = "make, list, revoke and rotate keys of the HTTP API"
HEADINGS = ("PREFIX", "NAME", "SCOPES", "EVENTS", "RATE", "CREATED", "LAST USED", "EXPIRES", "REVOKED")
DAY = 86_400.0


def add_arguments(parser: ArgumentParser) -> None:
    """Add what is done, to which key, and the rights of a new one."""
    parser.add_argument("action", choices=list(ACTIONS), help="what to do")
    parser.add_argument("name", nargs="?", help="name of a new key; name or prefix of an old one")
    parser.add_argument(
        "--scope", action="append", choices=SCOPES, help="right of a new key (ingest); may be repeated"
    )
    parser.add_argument(
        "--event", action="append", default=[], metavar="PATTERN", help="events it may send, such as shop/*"
    )
    parser.add_argument(
        "--network", action="append", default=[], metavar="BLOCK", help="where it may come from: 10.0.0.0/8"
    )
    parser.add_argument("--rate", type=read_rate, metavar="RATE", help="events it may send: 100/s, 600/min")
    parser.add_argument(
        "--burst", type=int, metavar="N", help="events it may send at once (those of a second)"
    )
    parser.add_argument("--expires", type=read_seconds, metavar="AGE", help="how long it lives: 90d")
    parser.add_argument(
        "--overlap",
        type=read_seconds,
        default=DAY,
        metavar="AGE",
        help="life of a rotated key (1d)",
    )


def handle(console: Console, options: dict[str, Any]) -> None:
    """Do it and print the key or keys."""
    if (options["name"] is None) is not (options["action"] == "list"):
        raise CommandError("create, revoke and rotate take the name of a key; list takes none.", returncode=2)
    ACTIONS[options["action"]](console, options)


def _create(console: Console, options: dict[str, Any]) -> None:
    expires = options["expires"]
    made = create_key(
        options["name"],
        actor=get_actor(),
        scopes=options["scope"] or ["ingest"],
        event_patterns=options["event"],
        networks=options["network"],
        rate=options["rate"],
        burst=options["burst"],
        expires_in=None if expires is None else timedelta(seconds=expires),
    )
    _say_new(console, made)


def _rotate(console: Console, options: dict[str, Any]) -> None:
    overlap = timedelta(seconds=options["overlap"])
    _say_new(console, rotate_key(options["name"], actor=get_actor(), overlap=overlap))


def _revoke(console: Console, options: dict[str, Any]) -> None:
    key = revoke_key(options["name"], actor=get_actor())
    if console.as_json:
        console.data(_as_dict(key))
    else:
        console.line(f"Revoked {key.name} {key.prefix}")


def _list(console: Console, options: dict[str, Any]) -> None:
    keys = list_keys(get_alias())
    if console.as_json:
        console.data([_as_dict(key) for key in keys])
    elif keys:
        console.table([HEADINGS, *map(_describe, keys)])
    else:
        console.line("There is no key. `manage.py durable keys create <name>` makes one.")


def _say_new(console: Console, made: NewKey) -> None:
    if console.as_json:
        console.data({**_as_dict(made.key), "key": made.text})
        return
    console.line(made.text)
    console.note("This is the only time that the key is shown; only a hash of it is stored.")


def _describe(key: AccessKey) -> tuple[str, ...]:
    rate = f"{key.rate:g}/s" if key.rate else "any"
    rights = (",".join(key.scopes), ",".join(key.event_patterns) or "all", rate)
    instants = (key.created_at, key.used_at, key.expires_at, key.revoked_at)
    return (key.prefix, key.name, *rights, *map(say_instant, instants))


def _as_dict(key: AccessKey) -> dict[str, Any]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "scopes": key.scopes,
        "events": key.event_patterns,
        "networks": key.networks,
        "rate": key.rate,
        "burst": key.burst,
        "created_at": key.created_at,
        "used_at": key.used_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


ACTIONS: Final[dict[str, Callable[[Console, dict[str, Any]], None]]] = {
    "create": _create,
    "list": _list,
    "revoke": _revoke,
    "rotate": _rotate,
}
