"""The condition of a wait in the cell of a list: what the event must be like, and the values it is compared to."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Case, F, QuerySet, TextField, Value, When
from django.db.models.functions import Length
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ..engine.codec import decode
from ..engine.compare_wait import read_compared
from ..engine.explain_event import write_condition
from ..engine.say_event import say_read
from ..exceptions import DurableError
from ..models import Wait
from .render import NOTHING, show_list

SHOWN_CHARACTERS: Final = 120
VALUES: Final = 3
LONGEST: Final = 4_000
"""Characters of stored values that a list reads; longer ones are on the page of the wait."""


def tell_values(waits: QuerySet[Any]) -> QuerySet[Any]:
    """Return the waits with the values that their conditions read, for those who may see payloads."""
    short = Case(When(size__lte=LONGEST, then=F("bound")), default=Value("{}"), output_field=TextField())
    extended: QuerySet[Any] = waits.alias(size=Length("bound")).annotate(values_shown=short)
    return extended


def show_condition(wait: Wait) -> str:
    """Show the condition, and below it the values if ``tell_values`` brought them; say so if it is not valid."""
    text = write_condition(wait)
    if not text:
        return NOTHING
    code = format_html("<code>{}</code>", text[:SHOWN_CHARACTERS])
    return show_list([code, _show_values(wait)])


def _show_values(wait: Wait) -> SafeString | str:
    stored = getattr(wait, "values_shown", None)
    try:
        bound = decode(stored) if stored else {}
        reads = read_compared(match=wait.match, expression=wait.expression, bound=bound, incoming={})
    except DurableError as error:
        text = _("No event can end it: the condition is not valid any more.")
        return format_html('<span class="dd-bad" title="{}">⚠ {}</span>', error.message, text)
    if not bound:
        return ""
    said = [say_read(each) for each in reads if each.path.startswith("event.")]
    more = f", … ({len(said)})" if len(said) > VALUES else ""
    return format_html('<span class="dd-soft">{}{}</span>', ", ".join(said[:VALUES]), more)
