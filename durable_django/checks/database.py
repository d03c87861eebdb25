"""E006 unknown alias, E007 unsupported vendor, E008 no router, E009 naive time; W003, W004 SQLite's limits.

None of these opens a connection; see ``servers`` for those that do.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Notice
from django.db import connections, router

from ..conf import settings
from ..engine.alias import get_alias
from ..models import Run
from .surroundings import is_test

VENDORS = ("postgresql", "sqlite")


def find_alias() -> str | None:
    """Return the alias of the durable tables if there is such a database."""
    alias = get_alias()
    return alias if alias in connections else None


def check_alias(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report a database that is not configured, or of a vendor that the engine has no statements for."""
    alias = get_alias()
    if alias not in connections:
        return [
            Error(
                f"The durable tables are to be in the database {alias!r}, which is not in DATABASES.",
                hint=f"Known: {', '.join(connections)}. Set DURABLE_DJANGO['DATABASE'] to one of them.",
                id="durable_django.E006",
            )
        ]
    vendor = connections[alias].vendor
    if vendor in VENDORS:
        return []
    return [
        Error(
            f"The durable tables are in the database {alias!r}, whose vendor is {vendor!r}.",
            hint="Set DURABLE_DJANGO['DATABASE'] to the alias of a PostgreSQL or SQLite database.",
            id="durable_django.E007",
        )
    ]


def check_router(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report routers that send the models elsewhere than the setting DATABASE."""
    alias = settings.DATABASE
    if not alias or alias not in connections:
        return []
    routed = (router.db_for_read(Run), router.db_for_write(Run))
    if routed == (alias, alias) and router.allow_migrate_model(alias, Run):
        return []
    return [
        Error(
            f"DURABLE_DJANGO['DATABASE'] is {alias!r}, but the database routers send the models elsewhere.",
            hint="Put 'durable_django.router.DurableRouter' first in DATABASE_ROUTERS.",
            id="durable_django.E008",
        )
    ]


def check_time_zones(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report naive datetimes, with which no instant is certain."""
    if django_settings.USE_TZ:
        return []
    return [
        Error(
            "USE_TZ is off, so datetimes have no time zone and timers would be wrong.",
            hint="Set USE_TZ = True.",
            id="durable_django.E009",
        )
    ]


def check_sqlite(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Report a SQLite database in production, or one whose writers do not queue up."""
    alias = find_alias()
    if alias is None or connections[alias].vendor != "sqlite":
        return []
    found: list[CheckMessage] = []
    if not django_settings.DEBUG and not is_test():
        found.append(_sqlite_in_production(alias))
    options = connections[alias].settings_dict.get("OPTIONS", {})
    if str(options.get("transaction_mode")).upper() not in ("IMMEDIATE", "EXCLUSIVE"):
        found.append(_deferred_transactions(alias))
    return found


def _sqlite_in_production(alias: str) -> CheckMessage:
    return Notice(
        f"The durable tables are in the SQLite database {alias!r} and DEBUG is off.",
        hint="SQLite serves one host, with one writer at a time. Use PostgreSQL for more, or silence this.",
        id="durable_django.W003",
    )


def _deferred_transactions(alias: str) -> CheckMessage:
    return Notice(
        f"SQLite transactions of {alias!r} do not begin as IMMEDIATE: some will fail, 'database is locked'.",
        hint=f"Set DATABASES[{alias!r}]['OPTIONS']['transaction_mode'] = 'IMMEDIATE'.",
        id="durable_django.W004",
    )
