"""Values as safe HTML: stored JSON, texts, times, links and tables; no inline style and no script."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.contrib.admin import AdminSite
from django.db.models import Model, QuerySet
from django.template.defaultfilters import filesizeformat
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..engine.redact import WITHHELD, redact, redact_text
from ..engine.words import Word

SHOWN_CHARACTERS: Final = 64 * 1024
ROWS: Final = 200
NOTHING: Final = "–"
ICONS: Final = {
    "queued": "◔",
    "scheduled": "◷",
    "paused": "‖",
    "running": "▶",
    "retrying": "↻",
    "waiting": "…",
    "sleeping": "☾",
    "stuck": "⚠",
    "completed": "✓",
    "failed": "✕",
    "cancelled": "⊘",
}
HIDDEN: Final = gettext_lazy("Hidden. You need the permission “Can view payloads”.")


def show_json(text: str | None) -> str:
    """Return stored JSON, masked by REDACT, indented if it is not longer than what is shown."""
    if text is None:
        return NOTHING
    return show_text(_indent(text) if len(text) <= SHOWN_CHARACTERS else redact_text(text))


def _indent(text: str) -> str:
    try:
        return json.dumps(redact(json.loads(text)), indent=2, ensure_ascii=False)
    except ValueError:  # a hand-edited row is shown as it is
        return redact_text(text)


def show_value(value: Any) -> SafeString:
    """Return a value that was read and masked already, as indented JSON, cut at 64 KB."""
    return show_text(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_payload(value: Any, stored: str | None) -> SafeString:
    """Return what was read of a stored payload; if it cannot be read, why, and how much is stored."""
    told = value if isinstance(value, str) else ""
    if not told.startswith(f"{WITHHELD} "):
        return show_value(value)
    text = _("It cannot be read here (%(code)s); %(size)s are stored.")
    size = filesizeformat(len((stored or "").encode()))
    return format_html('<p class="dd-bad">⚠ {}</p>', text % {"code": told.split()[-1], "size": size})


def show_sentence(text: str) -> SafeString:
    """Return a sentence with what stands between backticks as code."""
    parts = text.split("`")
    shown = (
        format_html("<code>{}</code>" if number % 2 else "{}", part) for number, part in enumerate(parts)
    )
    return format_html_join("", "{}", ((part,) for part in shown))


def show_where(where: str) -> SafeString:
    """Return the place of a function, short: file and line, with all of it as the title."""
    place = where.rpartition(" (")[2].rstrip(")").replace("\\", "/")
    return format_html('<code title="{}">{}</code>', where, "/".join(place.split("/")[-2:]))


def show_state(word: Word) -> SafeString:
    """Return icon, word and colour of a state."""
    return format_html(
        '<span class="dd-state dd-{}"><span aria-hidden="true">{}</span> {}</span>',
        word.code,
        ICONS.get(word.code, ""),
        word.label,
    )


def show_text(text: str) -> SafeString:
    """Return a text as it is, cut at 64 KB."""
    shown = format_html("<pre>{}</pre>", text[:SHOWN_CHARACTERS])
    if len(text) <= SHOWN_CHARACTERS:
        return shown
    cut = _("Cut: %(count)d of %(total)d characters are shown.")
    return format_html("{}<p>{}</p>", shown, cut % {"count": SHOWN_CHARACTERS, "total": len(text)})


def show_time(moment: datetime | None) -> str:
    """Return an instant in the active time zone, with UTC as its title."""
    if moment is None:
        return NOTHING
    here, there = timezone.localtime(moment), moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>', there.isoformat(), f"{there:%F %T}", f"{here:%F %T}"
    )


def show_moment(moment: datetime | None) -> str:
    """Return an instant as short as it can be told apart: the time, before today with its day."""
    if moment is None:
        return NOTHING
    here, there = timezone.localtime(moment), moment.astimezone(UTC)
    today = here.date() == timezone.localdate()
    return format_html(
        '<time class="dd-moment" datetime="{}" title="{} ({} UTC)">{}</time>',
        there.isoformat(),
        f"{here:%F %T}",
        f"{there:%F %T}",
        f"{here:%T}" if today else f"{here:%F %H:%M}",
    )


def find_page(site: AdminSite, name: str, *args: Any) -> str:
    """Return the address of one of our pages of the site, or nothing if the site has no such page."""
    try:
        return reverse(f"admin:durable_django_{name}", args=args, current_app=site.name)
    except NoReverseMatch:  # a site of the project's own, with some of the models
        return ""


def show_link(site: AdminSite, model: type[Model], key: Any, label: Any = None) -> str:
    """Return a link to the page of a row, or its label if the site has no such page."""
    if key is None:
        return NOTHING
    text = label or key
    url = find_page(site, f"{model._meta.model_name}_change", key)
    return format_html('<a href="{}">{}</a>', url, text) if url else str(text)


def shorten(key: Any) -> SafeString:
    """Return the end of an id, which tells rows of one moment apart."""
    return format_html('<code class="dd-nowrap" title="{}">…{}</code>', key, str(key)[-8:])


def show_short(site: AdminSite, key: Any, workflow: str) -> str:
    """Return a link to a run by its workflow and the end of its id, which tells runs of one moment apart."""
    label = format_html('<span class="dd-nowrap">{} <code>…{}</code></span>', workflow, str(key)[-8:])
    url = find_page(site, "run_change", key)
    return format_html('<a href="{}" title="{}">{}</a>', url, key, label) if url else label


def show_table(headings: Sequence[Any], rows: QuerySet[Any], cells: Any) -> str:
    """Return at most 200 rows as a table.

    Args:
        headings: One text a column.
        rows: What to show, in order; it is asked once.
        cells: A function of a row that returns its texts, escaped unless they are safe.
    """
    found = list(rows[: ROWS + 1])
    table = show_rows(headings, [cells(row) for row in found[:ROWS]])
    if len(found) <= ROWS:
        return table
    return format_html("{}<p>{}</p>", table, _("The first %d are shown.") % ROWS)


def show_rows(headings: Sequence[Any], rows: Sequence[Iterable[Any]]) -> str:
    """Return rows of texts as a table, the texts escaped unless they are safe."""
    if not rows:
        return NOTHING
    return format_html(
        '<div class="dd-scroll" tabindex="0"><table>'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>",
        format_html_join("", '<th scope="col">{}</th>', ((each,) for each in headings)),
        format_html_join("", "<tr>{}</tr>", ((_cells(row),) for row in rows)),
    )


def show_list(texts: Iterable[str]) -> str:
    """Return the texts that are not empty, one a line."""
    return format_html_join("", "<div>{}</div>", ((text,) for text in texts if text)) or NOTHING


def _cells(values: Iterable[Any]) -> SafeString:
    return format_html_join("", "<td>{}</td>", ((NOTHING if value == "" else value,) for value in values))
