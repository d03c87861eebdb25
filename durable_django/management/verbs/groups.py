"""``durable groups``: make the groups of the console's users, and give each the permissions that it lacks."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.core.management.base import CommandError
from django.db import router, transaction

from ...engine.alias import get_alias
from ..actor import write_audit
from ..console import Console

HELP = "make the groups of the console's users"
APP: Final = "durable_django"
HIDDEN: Final = ("view_payload", "view_accesskey")
"""What viewers do not see, although it is called viewing."""
OPERATES: Final = (
    "view_payload",
    "cancel_run",
    "retry_run",
    "rerun_run",
    "resolve_wait",
    "send_event",
    "invoke_workflow",
    "pause_workflow",
)
GROUPS: Final = ("Durable viewer", "Durable operator", "Durable admin")


def add_arguments(parser: ArgumentParser) -> None:
    """Add ``--dry-run``."""
    parser.add_argument("--dry-run", action="store_true", help="tell what would change, and change nothing")


def handle(console: Console, options: dict[str, Any]) -> None:
    """Make the groups; what they have besides stays."""
    if not apps.is_installed("django.contrib.auth"):
        raise CommandError("Groups are rows of django.contrib.auth, which is not in INSTALLED_APPS.")
    dry = options["dry_run"]
    with transaction.atomic(using=router.db_for_write(Group)):
        changes = [_change(name, wanted, dry=dry) for name, wanted in _list_wanted().items()]
    told = [f"{each['group']}: {len(each['added'])} permissions" for each in changes if each["added"]]
    if told and not dry:
        write_audit(get_alias(), "groups", result="; ".join(told))
    _report(console, changes, dry=dry)


def _list_wanted() -> dict[str, list[Permission]]:
    known = {each.codename: each for each in _read_permissions()}
    seen = [name for name in known if name.startswith("view_") and name not in HIDDEN]
    names = (seen, [*seen, *(name for name in OPERATES if name in known)], list(known))
    return {
        group: [known[name] for name in sorted(set(codes))]
        for group, codes in zip(GROUPS, names, strict=True)
    }


def _read_permissions() -> list[Permission]:
    # Those of a new version are stored by `migrate` only where it also migrates the table of permissions.
    create_permissions(apps.get_app_config(APP), verbosity=0, using=router.db_for_write(Permission))
    return list(Permission.objects.filter(content_type__app_label=APP))


def _change(name: str, wanted: list[Permission], *, dry: bool) -> dict[str, Any]:
    group = Group.objects.filter(name=name).first()
    had = set(group.permissions.values_list("pk", flat=True)) if group else set()
    missing = [each for each in wanted if each.pk not in had]
    if not dry:
        made = group or Group.objects.create(name=name)
        made.permissions.add(*missing)
    return {"group": name, "created": group is None, "added": [each.codename for each in missing]}


def _report(console: Console, changes: list[dict[str, Any]], *, dry: bool) -> None:
    if console.as_json:
        console.data({"dry_run": dry, "groups": changes})
        return
    for each in changes:
        what = "would make" if dry and each["created"] else "made" if each["created"] else "has"
        added = ", ".join(each["added"]) or "nothing"
        console.line(f"{what} {each['group']!r}; {'would add' if dry else 'added'}: {added}.")
