"""Why an event started nothing, as it is kept with the event: short codes, no event data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from django.utils.translation import gettext_lazy

KEPT: Final = 20
"""Reasons kept of one event; wildcards may concern very many workflows."""
DETAIL: Final = 255


class Why(StrEnum):
    """The codes; flow control adds its own."""

    NO_WORKFLOW = "no_workflow"
    IF_FALSE = "if_false"
    IF_FAILED = "if_failed"
    FIELDS = "fields_unchanged"
    NO_KEY = "no_key"
    DUPLICATE = "duplicate"


_TEXTS: Final = {
    Why.NO_WORKFLOW: gettext_lazy("no workflow listens to this name"),
    Why.IF_FALSE: gettext_lazy("the condition was false: {detail}"),
    Why.IF_FAILED: gettext_lazy("the condition could not be decided ({detail})"),
    Why.FIELDS: gettext_lazy("no field that it asks for was changed"),
    Why.NO_KEY: gettext_lazy("its idempotency expression gave no key ({detail})"),
    Why.DUPLICATE: gettext_lazy("duplicate of {detail}, which started run {run}"),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a workflow was not started.

    ``code`` is a member of ``Why`` or, in rows of other versions, an unknown one. ``detail`` is a condition,
    an error code or a key; ``run`` is the run that stood in the way.
    """

    code: str
    workflow: str = ""
    detail: str = ""
    run: str = ""

    def __str__(self) -> str:
        text = str(_TEXTS.get(self.code) or ("{detail}" if self.detail else self.code))  # type: ignore[call-overload]
        said: str = text.format(detail=self.detail, run=self.run)
        return f"{self.workflow}: {said}" if self.workflow else said


_FIELDS: Final = Reason.__slots__


def write_reasons(reasons: Sequence[Reason]) -> str | None:
    """Return the text that is stored with the event, None if there is nothing to say."""
    kept = [
        {name: value[:DETAIL] for name in _FIELDS if (value := getattr(each, name))}
        for each in reasons[:KEPT]
    ]
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) if kept else None


def read_reasons(text: str | None) -> list[Reason]:
    """Return what ``write_reasons`` wrote."""
    return [Reason(**each) for each in json.loads(text or "[]")]
