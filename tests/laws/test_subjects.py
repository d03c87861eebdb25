"""Subjects: runs are linked with rows of the project, each pair once, and found from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from durable_django import workflow
from durable_django.admin.mixins import SHOWN, SubjectRunsMixin
from durable_django.engine.prune import prune
from durable_django.exceptions import InvalidSubject, RunFailed
from durable_django.models import Run, RunSubject
from durable_django.testing import advance, drain
from tests.app.models import Effect
from tests.plugins.store import Store

Declare = Callable[..., Any]


class EffectAdmin(SubjectRunsMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    fieldsets = [(None, {"fields": ["key"]})]


class PlainAdmin(SubjectRunsMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    """Without fields of its own, as most pages are."""


def make_effect(store: Store, key: str = "k") -> Effect:
    return Effect.objects.using(store.alias).create(key=key)


def find(store: Store, subject: Any, pk: Any = None) -> list[str]:
    return [str(run.id) for run in Run.objects.using(store.alias).for_subject(subject, pk)]


def test_a_run_is_started_with_its_subject(store: Store, declare: Declare) -> None:
    """Run and link are one transaction: rolled back together, committed together."""
    one, two = make_effect(store, "1"), make_effect(store, "2")

    @declare()
    def about(ctx: Any) -> Any:
        return None
        yield

    with transaction.atomic(using=store.alias):
        about.start(subject=one)
        transaction.set_rollback(True, using=store.alias)
    assert not RunSubject.objects.using(store.alias).exists()
    handle = about.start(subject=[one, two])
    assert find(store, one) == find(store, two) == find(store, Effect, one.pk) == [handle.id]


def test_a_second_start_with_the_same_key_links_its_subject_to_the_first_run(
    store: Store, declare: Declare
) -> None:
    """One run, one link a pair, however often it is started."""
    one, two = make_effect(store, "1"), make_effect(store, "2")

    @declare()
    def keyed(ctx: Any) -> Any:
        return None
        yield

    handles = [keyed.start(key="k", subject=each) for each in (one, two, one)]
    assert len({handle.id for handle in handles}) == 1
    assert find(store, one) == find(store, two) == [handles[0].id]
    assert RunSubject.objects.using(store.alias).count() == 2


def test_a_link_is_stored_once_however_often_it_is_replayed(store: Store, declare: Declare) -> None:
    """ctx.link is no step: it has no memo and no id, and writes nothing when the link exists."""
    effect = make_effect(store)

    @declare()
    def linked(ctx: Any) -> Any:
        yield ctx.link(effect)
        yield ctx.link(Effect, effect.pk)
        for _ in range(3):
            yield ctx.step.sleep("nap", "1h")
        yield ctx.link(Effect, "other")

    run_id = linked.start().id
    drain()
    assert find(store, effect) == [run_id]
    for _ in range(3):
        advance("61m")
    subjects = RunSubject.objects.using(store.alias)
    assert sorted(subjects.values_list("label", "object_pk")) == [
        ("testapp.effect", str(effect.pk)),
        ("testapp.effect", "other"),
    ]
    assert Run.objects.using(store.alias).get().steps.count() == 3
    assert Run.objects.using(store.alias).get().status == "completed"


def test_a_link_that_is_added_to_live_code_reaches_runs_that_have_passed_it(
    store: Store, declare: Declare
) -> None:
    """Code changes while runs live; the new line counts at the next replay."""
    effect, new = make_effect(store), False

    @declare()
    def extended(ctx: Any) -> Any:
        if new:
            yield ctx.link(effect)
        yield ctx.step.run("one", lambda: 1)
        yield ctx.step.sleep("nap", "1h")

    run_id = extended.start().id
    drain()
    new = True
    advance("2h")
    assert find(store, effect) == [run_id]


def test_a_slice_that_lost_its_run_links_nothing(store: Store) -> None:
    """The link is fenced like every write of a slice."""
    effect = make_effect(store)

    @workflow(id="overtaken")
    def overtaken(ctx: Any) -> Any:
        Run.objects.using(store.alias).update(token=99)
        ctx.link(effect)
        raise AssertionError("the slice went on without the lease")

    overtaken.start()
    drain()
    assert not RunSubject.objects.using(store.alias).exists()
    assert Run.objects.using(store.alias).get().status == "running"


@pytest.mark.parametrize("subject", [Effect(key="unsaved"), Effect, "order-7"])
def test_what_is_no_saved_row_is_refused(store: Store, declare: Declare, subject: Any) -> None:
    """A coded error at the place where it is passed; in a workflow the run fails at once."""

    @declare()
    def wrong(ctx: Any) -> Any:
        yield ctx.link(subject)

    with pytest.raises(InvalidSubject):
        wrong.start(subject=subject)
    assert not Run.objects.using(store.alias).exists()
    handle = wrong.start()
    drain()
    with pytest.raises(RunFailed) as caught:
        handle.result(60)
    assert caught.value.details["told"]["code"] == "subject_invalid"


def test_links_are_pruned_with_their_runs(store: Store, declare: Declare) -> None:
    """Nothing is left behind."""

    @declare()
    def short(ctx: Any) -> Any:
        return None
        yield

    short.start(subject=make_effect(store))
    drain()
    list(prune(store.alias, -timezone.timedelta(days=1)))
    assert not Run.objects.using(store.alias).exists()
    assert not RunSubject.objects.using(store.alias).exists()


def read_page(page: type[Any], user: Any, effect: Effect) -> tuple[list[str], Any]:
    """Return the fields that the change page shows to the user, and the admin object."""
    request = RequestFactory().get("/")
    request.user = user
    model_admin = page(Effect, admin.site)
    sections = model_admin.get_fieldsets(request, effect)
    return [field for _, options in sections for field in options["fields"]], model_admin


@pytest.mark.parametrize("page", [EffectAdmin, PlainAdmin])
def test_the_page_of_an_object_shows_its_runs_to_those_who_may_view_runs(
    store: Store, declare: Declare, page: type[Any]
) -> None:
    """One bounded query; no such field without the permission, nor on the page that adds an object."""
    effect = make_effect(store)

    @declare(id="<b>shown</b>")
    def shown(ctx: Any) -> Any:
        return None
        yield

    ids = [shown.start(subject=effect).id for _ in range(SHOWN + 1)]
    users = get_user_model().objects
    viewer, clerk = users.create_user("viewer"), users.create_user("clerk")
    viewer.user_permissions.add(Permission.objects.get(codename="view_run"))
    fields, model_admin = read_page(page, viewer, effect)
    assert fields.count("durable_runs") == 1
    assert "durable_runs" not in read_page(page, clerk, effect)[0]
    assert "durable_runs" not in read_page(page, viewer, None)[0]
    with CaptureQueriesContext(store.connection) as captured:
        html = model_admin.durable_runs(effect)
    assert len(captured) == 1
    assert ids[-1] in html
    assert ids[0] not in html
    assert "&lt;b&gt;shown&lt;/b&gt;" in html
    assert "<b>" not in html
