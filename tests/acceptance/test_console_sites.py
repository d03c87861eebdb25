"""The console on a site of the project's own, on subclasses, and while the database does not answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from durable_django import workflow
from tests.acceptance.test_console_list import make_run
from tests.plugins.store import Store


@pytest.fixture
def sites(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.urls_site"


def read_links(html: str) -> set[str]:
    """Return where the page leads to, besides the way back to the start."""
    body = html.partition('id="content"')[2]
    return set(re.findall(r'href="(/[^"?#]*)', body))


def test_the_console_stays_on_its_site(store: Store, admin_client: Client, sites: None) -> None:
    """Each link of a page leads to a page of the same site, and models that it lacks are left out."""

    @workflow(id="w")
    def w(ctx: Any) -> None: ...

    run = make_run(status="failed")
    where = "ops"
    pages = [
        reverse("admin:durable_django_overview", current_app=where),
        reverse("admin:durable_django_run_changelist", current_app=where),
        reverse("admin:durable_django_run_change", args=[run.pk], current_app=where),
        reverse("admin:durable_django_run_cancel", args=[run.pk], current_app=where),
        reverse("admin:durable_django_run_view_save", current_app=where),
        reverse("admin:durable_django_workflowstate_changelist", current_app=where),
        reverse("admin:durable_django_workflowstate_change", args=["w"], current_app=where),
        reverse("admin:durable_django_auditentry_changelist", current_app=where),
    ]
    for page in pages:
        assert page.startswith("/ops/")
        answer = admin_client.get(page, follow=True)
        assert answer.status_code == 200
        html = answer.content.decode()
        assert "Ours" in html
        for link in read_links(html):
            assert link.startswith(("/ops/", "/static/")) or link == "/", (page, link)
        for link in read_links(html):
            if link.startswith("/ops/durable_django/"):
                assert admin_client.get(link).status_code in (200, 302, 405), (page, link)


def test_a_subclass_takes_the_place_of_ours(store: Store, admin_client: Client, sites: None) -> None:
    """Registered anew, the list, the page and the export of runs are those of the new class."""
    runs = [make_run(workflow="ship") for _ in range(9)]
    html = admin_client.get(
        reverse("admin:durable_django_run_changelist", current_app="ops")
    ).content.decode()
    assert "SHIP" in html
    assert "1–7 of 9" in html
    page = reverse("admin:durable_django_run_change", args=[runs[0].pk], current_app="ops")
    assert "Ours" in admin_client.get(page).content.decode()
    export = reverse("admin:durable_django_run_export", current_app="ops")
    rows = b"".join(admin_client.post(export, {"format": "jsonl"}).streaming_content)
    assert len(rows.splitlines()) == 9


@pytest.mark.parametrize(
    "name", ["run_changelist", "overview", "workflowstate_changelist", "worker_changelist", "health"]
)
def test_a_database_that_does_not_answer(store: Store, admin_client: Client, name: str) -> None:
    """Each page answers 503 with a way to try again, tells nothing of the fault, and works afterwards."""

    def fail(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        raise OperationalError("connection to db.internal failed")

    from django.db import connections

    url = reverse(f"admin:durable_django_{name}")
    with store.connection.execute_wrapper(fail), connections["default"].execute_wrapper(fail):
        answer = admin_client.get(url, {"a": "1"} if name == "overview" else {})
    html = answer.content.decode()
    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert 'role="alert"' in html
    assert f'href="{url}' in html
    assert "db.internal" not in html
    assert admin_client.get(url).status_code == 200
