"""The screens that the admin has, with the budget of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.test import RequestFactory
from django.urls import NoReverseMatch, reverse

from durable_django.models import Event, Run, Step, Wait

SITE = "admin:durable_django_"


@dataclass(frozen=True, kw_only=True)
class Screen:
    """A page and what it may cost: queries above the floor, milliseconds, kilobytes."""

    name: str
    url: str
    queries: int = 4
    p95_ms: int = 150
    html_kb: int = 120


def list_screens() -> Iterator[Screen]:
    """Give all screens: overview, lists with their filters and pages, rows, and pages of their own."""
    yield from _list_named()
    for model in apps.get_app_config("durable_django").get_models():
        page = admin.site._registry.get(model)
        if page is not None:
            yield from _list_of(model, page)
    yield from _list_rows()
    yield from _list_run_pages()


def _list_named() -> Iterator[Screen]:
    named = {
        "overview": {"queries": 5, "p95_ms": 250, "html_kb": 80},
        "run_news": {"queries": 1, "p95_ms": 20, "html_kb": 60},
        "queues": {},
        "health": {"p95_ms": 1_000, "queries": 30},
        "workflows": {},
        "event_send": {"queries": 7, "p95_ms": 200},
        "bulk_new": {"queries": 7, "p95_ms": 300},
    }
    for name, budget in named.items():
        url = _find(name)
        if url and name == "bulk_new":
            url += "?action=cancel&status=waiting&created=all"
        if url:
            yield Screen(name=name, url=url, **budget)


def _find(name: str, *arguments: Any) -> str:
    try:
        return reverse(SITE + name, args=arguments)
    except NoReverseMatch:
        return ""


def _list_of(model: Any, page: Any) -> Iterator[Screen]:
    name = model._meta.model_name
    url = _find(f"{name}_changelist")
    yield Screen(name=f"{name} list", url=url)
    for query in _list_queries(model, page):
        # The form of a filter says 150 ms; a search in payloads may take twice as long.
        yield Screen(name=f"{name} list ?{query[:60]}", url=f"{url}?{query}")


def _list_queries(model: Any, page: Any) -> Iterator[str]:
    more = "&created=all" if model is Run else ""
    request = RequestFactory().get("/")
    request.user = _Anybody()
    for kind in page.get_list_filter(request):
        if isinstance(kind, type) and issubclass(kind, SimpleListFilter):
            found = kind(request, {}, model, page)
            choices = [str(code) for code, _label in (found.lookup_choices or [])]
            chosen = choices if len(choices) <= 12 else choices[:2]
            for code in chosen:
                all_time = "" if kind.parameter_name == "created" else more
                yield f"{kind.parameter_name}={code}{all_time}"
    yield from _list_searches(model)


def _list_searches(model: Any) -> Iterator[str]:
    if model is not Run:
        return
    middle = Run.objects.order_by("id")[500_000:500_001].first() or Run.objects.order_by("id").first()
    last = Run.objects.order_by("-id")[60]
    assert middle is not None
    yield f"q={middle.pk}"
    yield f"q={middle.event_id}"
    yield "q=order-99999"
    yield "q=nothing-like-it"
    yield f"older={last.pk}"
    yield f"older={middle.pk}&created=all"
    yield f"older={middle.pk}&created=all&status=failed"
    yield f"older={middle.pk}&created=all&workflow=ship-order"
    yield "status=failed&workflow=import-mail&created=all"
    yield "status=completed&workflow=import-mail&created=all"
    yield "status=failed,waiting&created=7d"
    yield "status=running,queued,completed&created=all"
    yield "q=input.customer.id%3D42"


class _Anybody:
    is_active = is_staff = is_superuser = True
    pk = 1

    def has_perm(self, *_: Any) -> bool:
        return True


def _list_rows() -> Iterator[Screen]:
    for model in apps.get_app_config("durable_django").get_models():
        if model is Run or model not in admin.site._registry:
            continue
        row = model._default_manager.order_by("pk").first()
        url = _find(f"{model._meta.model_name}_change", row.pk) if row is not None else ""
        if url:
            yield Screen(name=f"{model._meta.model_name} page", url=url, queries=7, p95_ms=200)
    waited = Wait.objects.filter(status="open").order_by("-id").first()
    used = Event.objects.filter(name="shop/payment.completed").order_by("-id").first()
    for name, row in {"wait": waited, "event": used}.items():
        if row is not None:
            url = _find(f"{name}_change", row.pk)
            yield Screen(name=f"{name} page, newest", url=url, queries=7, p95_ms=200)


def _list_run_pages() -> Iterator[Screen]:
    of = {
        state: Run.objects.filter(status=state).order_by("-id").first()
        for state in ("completed", "failed", "waiting", "queued", "running", "cancelled")
    }
    for state, run in of.items():
        if run is not None:
            yield _run_screen(f"run page, {state}", run.pk, "")
    looped = Step.objects.filter(name="loop").order_by("-id")
    if (step := looped.first()) is not None:
        yield _run_screen("run page, 50 steps", step.run_id, "", p95_ms=200)
    if (step := looped.filter(index=9_000).first()) is not None:
        for query in ("", "?only=failed", "?tab=payloads", "?tab=raw"):
            yield _run_screen(f"run page, 10,000 steps {query}", step.run_id, query)
    failed = of["failed"]
    for tab in ("payloads", "events", "waits", "family", "attempts", "actions", "raw"):
        if failed is not None:
            yield _run_screen(f"run page ?tab={tab}", failed.pk, f"?tab={tab}")
    waiting = of["waiting"]
    if waiting is not None:
        url = _find("run_live", waiting.pk)
        yield Screen(name="run live, changed", url=url, queries=6, html_kb=60)


def _run_screen(name: str, key: Any, query: str, *, p95_ms: int = 400) -> Screen:
    url = _find("run_change", key) + query
    return Screen(name=name, url=url, queries=9, p95_ms=p95_ms, html_kb=150)
