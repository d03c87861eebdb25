"""One row of the table: a sentence, a program for both kinds, what happens to its run, what must hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable_django import workflow
from durable_django.define.workflow import Workflow
from tests.bodies import MAKERS, Body, make

if TYPE_CHECKING:
    from tests.conformance.stage import Stage

KINDS = tuple(MAKERS)
ENGINES = ("inline", "local", "celery")
NOTHING: Any = object()


@dataclass(frozen=True)
class Span:
    """A length of time: as long as it says where time can be travelled, short where it really passes."""

    long: str
    short: str = "150ms"


@dataclass(frozen=True)
class Program:
    """A workflow of a case; ``options`` gets the case's place and the maker of its kind."""

    name: str
    body: Body
    options: Callable[[str, Callable[[Body], Body]], Mapping[str, Any]]

    def declare(self, place: str, kind: str) -> Workflow[Any, Any]:
        """Register the workflow of one kind."""
        options = self.options(place, lambda body: make(kind, body))
        declared: Workflow[Any, Any] = workflow(id=f"{place}/{self.name}", **options)(make(kind, self.body))
        return declared


@dataclass
class Case:
    """A sentence of the page and what proves it.

    ``passes`` lets time pass once the run waits, ``sends`` are the events that it gets then; ``result``,
    ``fails`` (a code) and ``cancelled`` (part of the reason) say how it must end, ``holds`` what else must be
    true. ``play`` takes the place of all of them.
    """

    id: str
    quote: str
    section: str
    programs: list[Program]
    data: Mapping[str, Any] = field(default_factory=dict)
    passes: str | Sequence[str] = ()
    sends: Sequence[tuple[str, Mapping[str, Any]]] = ()
    result: Any = NOTHING
    fails: str = ""
    cancelled: str = ""
    holds: Callable[[Stage], None] | None = None
    play: Callable[[Stage], None] | None = None
    kinds: Sequence[str] = KINDS
    engines: Sequence[str] = ENGINES
    sample: bool = False

    def place(self, kind: str) -> str:
        """Return the prefix of the case's workflow ids and event names."""
        return f"{self.id}-{kind}"

    def declare(self, kind: str) -> dict[str, Workflow[Any, Any]]:
        """Register the case's workflows of one kind; return them by name."""
        return {program.name: program.declare(self.place(kind), kind) for program in self.programs}


CASES: dict[str, Case] = {}


def case(section: str, id: str, quote: str, *, options: Any = None, more: Any = (), **rest: Any) -> Any:
    """Add a case over the body of its main program; ``more`` are further programs."""

    def decorate(body: Body) -> Body:
        assert id not in CASES, id
        main = Program("main", body, options or no_options)
        CASES[id] = Case(id=id, quote=quote, section=section, programs=[*more, main], **rest)
        return body

    return decorate


def no_options(place: str, make: Callable[[Body], Body]) -> dict[str, Any]:
    """Return the options of a workflow without any."""
    return {}


def program(name: str, body: Body, options: Any = None) -> Program:
    """Return a further program of a case."""
    return Program(name, body, options or no_options)
