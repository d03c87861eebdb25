"""What came of an action on ticked runs, in one message with links to the runs and to the operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..engine.words import WORDS
from ..models import BulkOperation, Run
from .permits import may_view
from .render import find_page


@dataclass(kw_only=True)
class Result:
    """The runs that were changed, and how many were left alone, by the state that did not fit."""

    done: list[Run] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    bulk: BulkOperation | None = None

    @property
    def left(self) -> int:
        """Return how many were left alone."""
        return self.refused.total()


def tell_result(
    page: ModelAdmin[Run], request: HttpRequest, result: Result, done: Any, *, gone: bool
) -> None:
    """Leave the message.

    Args:
        done: What it says of those that were changed, with a place for their number.
        gone: Whether these are no longer stored, so that there is no list of them.
    """
    sentences = [done % len(result.done)] if result.done else []
    sentences += [_say_left(status, count) for status, count in result.refused.items()]
    links = [(url, text) for url, text in _list_links(page, request, result, gone=gone) if url]
    html = format_html_join(" · ", '<a href="{}">{}</a>', links)
    level = messages.SUCCESS if result.done else messages.WARNING
    page.message_user(
        request, format_html("{} {}", " ".join(sentences), html) if html else " ".join(sentences), level
    )


def _say_left(status: str, count: int) -> str:
    text = ngettext(
        "%(count)d run was left alone: %(status)s.", "%(count)d runs were left alone: %(status)s.", count
    )
    shown = WORDS[status].label if status in WORDS else _("no longer stored")
    return text % {"count": count, "status": shown}


def _list_links(
    page: ModelAdmin[Run], request: HttpRequest, result: Result, *, gone: bool
) -> Iterator[tuple[str, str]]:
    if result.bulk is None:
        return
    site, number = page.admin_site, result.bulk.pk
    runs = find_page(site, "run_changelist")
    if result.done and not gone:
        text = ngettext("Show the %d that was changed", "Show the %d that were changed", len(result.done))
        yield _list_runs(runs, bulk=number), text % len(result.done)
    if result.left:
        text = ngettext("Show the %d that was left alone", "Show the %d that were left alone", result.left)
        yield _list_runs(runs, left=number), text % result.left
    if may_view(request, BulkOperation):
        yield find_page(site, "bulkoperation_change", number), _("Open bulk operation %d") % number


def _list_runs(url: str, **chosen: int) -> str:
    return f"{url}?{urlencode({**chosen, 'created': 'all'})}" if url else ""
