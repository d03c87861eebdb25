"""A run of many steps in one strip: equal parts from its first step to its last, each by state. Pure.

Note [A strip goes by steps, not by time]
    A run may sleep for days between two bursts of a second; by time its ten thousand steps would be two lines.
    Parts with the same number of steps show all of them, and the times at which they begin are told below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ..engine.words import WORDS, say_length
from ..store.step_summary import StepCount
from .spans import UNITS

PARTS: Final = 100
RANGES: Final = 20
"""Rows of the table that says the same; each is a link."""
LANES: Final = {
    "failed": (0, 9),
    "retrying": (0, 9),
    "waiting": (11, 6),
    "sleeping": (11, 6),
    "completed": (19, 21),
}
"""Top and height of what is drawn for a state: they differ in place as well as in colour."""
DRAWN: Final = ("completed", "sleeping", "waiting", "retrying", "failed")
LEAST: Final = 0.35
"""Of its lane, the height of what is rare: one failed step of a thousand must be seen."""


@dataclass
class Part:
    """Steps that follow one another; ``first`` is the lowest key of them."""

    first: int
    begin: datetime
    states: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """Return the number of its steps."""
        return self.states.total()

    def add(self, each: StepCount) -> None:
        """Count further steps."""
        self.first, self.begin = min(self.first, each.first), min(self.begin, each.begin)
        self.states[each.state] += each.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A row of the table, and the field of the drawing that it stands for."""

    begin: int
    end: int
    after: int
    """The key that its page is asked for with."""
    offset: str
    states: str
    bad: bool
    x: str
    width: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The drawing, as a path for each state, and its table; ``here`` is the field of the page that is shown."""

    paths: Sequence[tuple[str, str]]
    ranges: Sequence[Range]
    here: tuple[str, str] | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """The steps of one name."""

    name: str
    count: int
    states: str
    bad: bool


def build_strip(counts: Iterable[StepCount], zero: datetime, shown: Sequence[int] = ()) -> Strip:
    """Return the strip of a run.

    Args:
        zero: The instant that times are told from.
        shown: The keys of the first and the last step of the page, if it shows steps that follow one another.
    """
    parts = _collect(counts)
    width = UNITS / max(len(parts), 1)
    paths = [(state, _trace(parts, state, width)) for state in DRAWN]
    return Strip(
        paths=[(state, path) for state, path in paths if path],
        ranges=_list_ranges(parts, zero, width),
        here=_find_here(parts, shown, width) if shown else None,
        count=sum(part.count for part in parts),
    )


def fold_names(counts: Iterable[StepCount]) -> list[Fold]:
    """Return the names that occur more than once, those of most steps first."""
    names: dict[str, Counter[str]] = {}
    for each in counts:
        if each.place < 0:
            names.setdefault(each.name, Counter())[each.state] += each.count
    folds = [
        Fold(name=name, count=states.total(), states=say_states(states), bad=_is_bad(states))
        for name, states in names.items()
    ]
    return sorted(folds, key=lambda fold: (-fold.count, fold.name))


def say_states(states: Counter[str]) -> str:
    """Return how many there are of each state that occurs."""
    return ", ".join(f"{states[code]} {WORDS[code].label}" for code in DRAWN if states[code])


def _is_bad(states: Counter[str]) -> bool:
    return bool(states["failed"] or states["retrying"])


def _collect(counts: Iterable[StepCount]) -> list[Part]:
    parts: dict[int, Part] = {}
    for each in counts:
        if each.place >= 0:
            parts.setdefault(each.place, Part(each.first, each.begin)).add(each)
    return [parts[place] for place in sorted(parts)]


def _trace(parts: Sequence[Part], state: str, width: float) -> str:
    top, room = LANES[state]
    drawn = []
    for number, part in enumerate(parts):
        if part.states[state]:
            share = max(part.states[state] / part.count, LEAST)
            height = round(room * share, 1)
            left = f"{number * width:.1f}".removesuffix(".0")
            drawn.append(f"M{left} {top + room - height:g}h{width - 1:g}v{height:g}h{1 - width:g}z")
    return "".join(drawn)


def _list_ranges(parts: Sequence[Part], zero: datetime, width: float) -> list[Range]:
    size = max(-(-len(parts) // RANGES), 1)
    ranges, before = [], 0
    for number in range(0, len(parts), size):
        group = parts[number : number + size]
        states: Counter[str] = sum((part.states for part in group), Counter())
        ranges.append(
            Range(
                begin=before + 1,
                end=before + states.total(),
                after=group[0].first - 1,
                offset=say_length((group[0].begin - zero).total_seconds()),
                states=say_states(states),
                bad=_is_bad(states),
                x=f"{number * width:g}",
                width=f"{len(group) * width:g}",
            )
        )
        before += states.total()
    return ranges


def _find_here(parts: Sequence[Part], shown: Sequence[int], width: float) -> tuple[str, str]:
    first, last = (_find_part(parts, key) for key in (shown[0], shown[-1]))
    return f"{first * width:g}", f"{(last - first + 1) * width:g}"


def _find_part(parts: Sequence[Part], key: int) -> int:
    return max((number for number, part in enumerate(parts) if part.first <= key), default=0)
