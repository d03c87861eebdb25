"""An expression as alternatives of atoms, each either an equality that an index can find or a residual.

Sound in three-valued logic: the expression is *true* exactly when all atoms of some alternative are true.
Atoms need to agree with the expression as truths only, not as errors; what does not fit stays whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final

from . import cel_nodes as nodes
from .cel_evaluate import Code, build
from .cel_nodes import Node
from .expressions import Expression

MAX_CONJUNCTS: Final = 16


@dataclass(frozen=True, slots=True)
class Atom:
    """A part that must be true, or false where ``wanted`` is False."""

    node: Node
    wanted: bool


@dataclass(frozen=True, slots=True)
class Equality:
    """``async.<path>`` equals, or is one of, what ``code`` computes from the run's event."""

    path: tuple[str, ...]
    code: Code
    many: bool
    written: bool  # computed from the text alone, so a null in it is met by absence


@dataclass(frozen=True, slots=True)
class Known:
    """An atom that the run's event alone decides."""

    code: Code
    wanted: bool


@dataclass(frozen=True, slots=True)
class Alternative:
    """Atoms that are all true together; ``exact`` when none of them is a residual."""

    known: tuple[Known, ...]
    equalities: tuple[Equality, ...]
    exact: bool


@lru_cache(maxsize=1_000)
def plan(expression: Expression) -> tuple[Alternative, ...]:
    """Return the alternatives of an expression, at most 16; the same for every run that uses it."""
    return tuple(_classify(atoms) for atoms in _alternatives(expression.root, True))


Alternatives = list[tuple[Atom, ...]]


def _alternatives(node: Node, wanted: bool) -> Alternatives:
    if isinstance(node, nodes.Not):
        return _alternatives(node.inner, not wanted)
    if isinstance(node, nodes.Choice):
        return _of_choice(node, wanted)
    if isinstance(node, (nodes.And, nodes.Or)):
        if isinstance(node, nodes.And) is wanted:
            return _all_of([Atom(item, wanted) for item in node.items])
        return _any_of(node, [_alternatives(item, wanted) for item in node.items], wanted)
    return [(Atom(node, wanted),)]


def _of_choice(node: nodes.Choice, wanted: bool) -> Alternatives:
    # A negation reaches the two branches only: the condition selects, it is not negated.
    branches = [
        _all_of([Atom(node.condition, True), Atom(node.then, wanted)]),
        _all_of([Atom(node.condition, False), Atom(node.otherwise, wanted)]),
    ]
    return _any_of(node, branches, wanted)


def _any_of(node: Node, parts: list[Alternatives], wanted: bool) -> Alternatives:
    found = [alternative for part in parts for alternative in part]
    return found if len(found) <= MAX_CONJUNCTS else [(Atom(node, wanted),)]


def _all_of(atoms: list[Atom]) -> Alternatives:
    parts = [(atom, _alternatives(atom.node, atom.wanted)) for atom in atoms]
    found: Alternatives = [()]
    for atom, part in sorted(parts, key=lambda pair: len(pair[1])):
        fits = len(found) * len(part) <= MAX_CONJUNCTS
        found = [one + other for one, other in product(found, part if fits else [(atom,)])]
    return found


def _classify(atoms: tuple[Atom, ...]) -> Alternative:
    known = tuple(Known(build(atom.node), atom.wanted) for atom in atoms if not _reads_async(atom.node))
    open_atoms = [atom for atom in atoms if _reads_async(atom.node)]
    equalities = [_as_equality(atom) for atom in open_atoms]
    found = tuple(equality for equality in equalities if equality is not None)
    return Alternative(known, found, len(found) == len(open_atoms))


def _as_equality(atom: Atom) -> Equality | None:
    node = atom.node
    if isinstance(node, nodes.Path):
        return _equality(node, nodes.Constant(atom.wanted), many=False)
    if not isinstance(node, nodes.Compare):
        return None
    if node.name == "in" and atom.wanted:
        return _equality(node.left, node.right, many=True)
    if node.name == ("==" if atom.wanted else "!="):
        return _equality(node.left, node.right, many=False) or _equality(node.right, node.left, many=False)
    return None


def _equality(path: Node, other: Node, *, many: bool) -> Equality | None:
    if not isinstance(path, nodes.Path) or path.root != "async" or _reads_async(other):
        return None
    return Equality(path.pieces, build(other), many, nodes.is_constant(other))


def _reads_async(node: Node) -> bool:
    return nodes.reads(node, "async")
