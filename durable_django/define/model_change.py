"""``ModelChange``: start a workflow when a row of a model is created, updated or deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..exceptions import InvalidDefinition

Change = Literal["created", "updated", "deleted"]

CHANGES: Final = ("created", "updated", "deleted")
PREFIX: Final = "durable/model."


@dataclass(frozen=True, slots=True)
class ModelChange:
    """Start when a row of the model changes by ``save()`` or ``delete()``.

    Changes that send no signal are not seen: ``QuerySet.update``, ``bulk_create``, ``bulk_update``, SQL.

    Args:
        model: The model, or its label such as "shop.Order".
        change: "created", "updated" or "deleted".
        fields: Only if one of these fields changed; for "updated".

    Raises:
        InvalidDefinition: An argument cannot work.
    """

    model: Any
    change: Change
    fields: Sequence[str] = ()
    label: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        where = f"ModelChange({self.model!r}, {self.change!r})"
        if self.change not in CHANGES:
            raise InvalidDefinition(where=where, reason=f"a change is one of {', '.join(CHANGES)}")
        if isinstance(self.fields, str) or not all(isinstance(each, str) and each for each in self.fields):
            raise InvalidDefinition(where=where, reason="fields is a list of names")
        if self.fields and self.change != "updated":
            raise InvalidDefinition(where=where, reason="fields can only be given for 'updated'")
        object.__setattr__(self, "fields", tuple(self.fields))
        object.__setattr__(self, "label", _read_label(where, self.model))

    @property
    def event(self) -> str:
        """Return the name of the event that a change sends."""
        return name_event(self.label, self.change)

    @property
    def if_exp(self) -> None:
        """Return no condition."""
        return

    @property
    def identity(self) -> tuple[object, ...]:
        """Return what no two triggers of a workflow may have in common."""
        return ("model", self.event, frozenset(self.fields))

    def fits(self, name: str) -> bool:
        """Tell whether an event of this name is meant."""
        return name == self.event


def name_event(label: str, change: str) -> str:
    """Return the name of the event of a model's change; ``label`` is "app.model" in lower case."""
    return f"{PREFIX}{label}.{change}"


def _read_label(where: str, model: Any) -> str:
    # A class has its label without the app registry, so nothing of Django is imported here.
    label = model if isinstance(model, str) else getattr(getattr(model, "_meta", None), "label_lower", None)
    if not isinstance(label, str) or label.count(".") != 1 or not all(label.split(".")):
        raise InvalidDefinition(where=where, reason="give a model, or a label such as 'shop.Order'")
    return label.lower()
