from __future__ import annotations

from django.contrib.auth.models import Group, Permission

from durable_django.models import AuditEntry
from tests.commands import run_durable
from tests.plugins.store import Store


def read(name: str) -> set[str]:
    return set(Group.objects.get(name=f"Durable {name}").permissions.values_list("codename", flat=True))


def test_groups_have_what_their_name_says(store: Store) -> None:
    """Viewers see no payload and change nothing, operators act on single runs, admins may all of it."""
    run_durable("groups")
    viewer, operator, admin = read("viewer"), read("operator"), read("admin")
    assert {"view_run", "view_step", "view_event", "view_wait", "view_auditentry"} < viewer
    assert all(name.startswith("view_") for name in viewer)
    assert not viewer & {"view_payload", "view_accesskey"}
    assert operator - viewer == {
        "view_payload",
        "cancel_run",
        "retry_run",
        "rerun_run",
        "resolve_wait",
        "send_event",
        "invoke_workflow",
        "pause_workflow",
    }
    ours = Permission.objects.filter(content_type__app_label="durable_django")
    assert admin == set(ours.values_list("codename", flat=True)) > operator
    assert {"bulk_operate", "delete_run"} < admin - operator


def test_twice_is_once(store: Store) -> None:
    """A second call changes nothing; what was taken away comes back, what was added stays."""
    first = run_durable("groups", "--json").data
    assert [each["created"] for each in first["groups"]] == [True] * 3
    again = run_durable("groups", "--json").data
    assert all((each["created"], each["added"]) == (False, []) for each in again["groups"])
    assert AuditEntry.objects.filter(action="groups").count() == 1
    group = Group.objects.get(name="Durable viewer")
    group.permissions.remove(Permission.objects.get(codename="view_run"))
    group.permissions.add(Permission.objects.get(codename="add_group"))
    assert "added: view_run." in run_durable("groups").out
    assert {"view_run", "add_group"} < read("viewer")


def test_dry_run_changes_nothing(store: Store) -> None:
    """``--dry-run`` tells what would be made."""
    said = run_durable("groups", "--dry-run", "--json").data
    assert said["dry_run"] is True
    assert "view_run" in said["groups"][0]["added"]
    assert "would make 'Durable viewer'" in run_durable("groups", "--dry-run").out
    assert not Group.objects.exists()
    assert not AuditEntry.objects.exists()
